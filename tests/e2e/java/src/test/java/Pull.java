import java.nio.file.Path;
import land.oras.ContainerRef;
import land.oras.CopyUtils;
import land.oras.LayoutRef;
import land.oras.OCILayout;
import land.oras.Registry;
import land.oras.exception.OrasException;

/** Pulls an image into a directory, which becomes an OCI layout. */
class Pull {
    public static void main(String[] words) {
        Registry registry = Registry.builder().defaults().build();
        OCILayout layout = OCILayout.builder().defaults(Path.of(words[1])).build();
        ContainerRef image = ContainerRef.parse(words[0]);
        LayoutRef pulled = LayoutRef.of(layout, "1");
        try {
            CopyUtils.copy(registry, image, layout, pulled, CopyUtils.CopyOptions.shallow());
        } catch (OrasException error) {
            System.err.println(error.getMessage());
            System.exit(1);
        }
        System.exit(0); // its threads would wait for more to do
    }
}
