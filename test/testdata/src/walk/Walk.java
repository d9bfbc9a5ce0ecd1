import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;

/** Does what walk.js does, in parallel streams. */
class Walk {
    static String show(Path p) {
        try {
            var a = Files.readAttributes(p, "unix:mode,uid,gid,rdev,size", LinkOption.NOFOLLOW_LINKS);
            return p + " " + Integer.toOctalString((int) a.get("mode")) + " " + a.get("uid") + ":" + a.get("gid") + " " + a.get("rdev") + " " + a.get("size");
        } catch (java.io.IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    static void change(Path p) {
        try {
            Files.writeString(p, p.toString());
            Path moved = Files.move(p, Path.of(p + "-"));
            if (Files.size(moved) != p.toString().length())
                throw new AssertionError(p);
            Files.delete(moved);
        } catch (java.io.IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    public static void main(String[] args) throws Exception {
        List<Path> names;
        try (var all = Files.walk(Path.of("."))) {
            names = all.sorted().toList();
        }
        var now = names.stream().map(Walk::show).toList();
        if (!now.equals(names.parallelStream().map(Walk::show).toList()))
            throw new AssertionError("threads see something else");
        now.forEach(System.out::println);
        Path dir = Files.createTempDirectory("walk");
        IntStream.range(0, names.size()).parallel().forEach(i -> change(dir.resolve(Integer.toString(i))));
        Files.delete(dir); // which is empty
    }
}
