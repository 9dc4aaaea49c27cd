import java.nio.file.Files;
import java.nio.file.Path;
import land.oras.ContainerRef;
import land.oras.CopyUtils;
import land.oras.LocalPath;
import land.oras.Registry;

/** Pushes an artifact, reads its manifest, copies it, and pulls the copy. */
class Artifact {
    public static void main(String[] words) throws Exception {
        ContainerRef target = ContainerRef.parse(words[0]);
        ContainerRef copy = ContainerRef.parse(words[0] + "-copy");
        Path directory = Path.of(words[1]);
        Path file = Files.writeString(directory.resolve("artifact.txt"), "hello");
        Path pulled = Files.createDirectory(directory.resolve("pulled"));
        Registry registry = Registry.builder().defaults().build();

        registry.pushArtifact(target, LocalPath.of(file));
        System.out.println(registry.getManifest(target).getDescriptor().getDigest());
        CopyUtils.copy(registry, target, registry, copy, CopyUtils.CopyOptions.shallow());
        registry.pullArtifact(copy, pulled, true);
        System.out.println(Files.readString(pulled.resolve("artifact.txt")));
        System.exit(0); // its threads would wait for more to do
    }
}
