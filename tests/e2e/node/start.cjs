// Start a container of the image that argv names, as a test with testcontainers does, and stop it.
const { GenericContainer, Wait } = require("testcontainers");

async function main() {
  const [image] = process.argv.slice(2);
  const container = await new GenericContainer(image)
    .withNetworkMode("none")
    .withCommand(["/program"])
    .withWaitStrategy(Wait.forLogMessage(/./))
    .start();
  await container.stop();
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
