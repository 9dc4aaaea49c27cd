import org.testcontainers.containers.ContainerFetchException;
import org.testcontainers.containers.GenericContainer;

/** Starts a container of an image, and ends it. */
class Start {
    public static void main(String[] words) {
        try (GenericContainer<?> container = new GenericContainer<>(words[0])) {
            container.withNetworkMode("none").withCommand("/program", "stay").start();
            System.out.println("started");
        } catch (ContainerFetchException error) {
            System.err.println(error.getMessage());
            System.exit(1);
        }
    }
}
