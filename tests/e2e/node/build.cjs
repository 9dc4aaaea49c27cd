// Build the Dockerfile of the directory that argv names, as a test with testcontainers does.
const { GenericContainer } = require("testcontainers");

async function main() {
  const [directory, tag] = process.argv.slice(2);
  await GenericContainer.fromDockerfile(directory).withCache(false).build(tag, { deleteOnExit: false });
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
