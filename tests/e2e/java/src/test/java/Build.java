import java.nio.file.Path;
import org.testcontainers.images.builder.ImageFromDockerfile;

/** Builds an image from a Dockerfile and what is beside it, under a name, and keeps it. */
class Build {
    public static void main(String[] words) {
        new ImageFromDockerfile(words[0], false).withDockerfile(Path.of(words[1])).get();
    }
}
