package main

import (
	"slices"
	"strconv"
	"strings"
)

// kind is a type of file.
type kind int

const (
	nothing kind = iota
	regular      // or a FIFO, a socket or a device
	directory
	symlink
)

// file is a file that probably exists. The generator executes nothing, so the file may be
// another one, or gone.
type file struct {
	path  string // relative to the program's first directory; "" for none, "." for that directory
	kind  kind
	leads string // the target of a symbolic link to a directory, if known
}

// learn notes that a file exists.
func (g *generator) learn(path string, k kind) {
	if path == "" || strings.HasPrefix(path, "..") {
		return
	}
	g.forget(path)
	g.files = append(g.files, file{path: path, kind: k})
}

func (g *generator) forget(path string) {
	g.files = slices.DeleteFunc(g.files, func(f file) bool { return f.path == path })
}

// oneOf returns a random file of one of these kinds. It reports whether there is any.
func (g *generator) oneOf(kinds ...kind) (file, bool) {
	var of []file
	for _, f := range g.files {
		if slices.Contains(kinds, f.kind) {
			of = append(of, f)
		}
	}
	if len(of) == 0 {
		return file{}, false
	}
	return of[g.IntN(len(of))], true
}

// path returns the path of a file that probably exists.
func (g *generator) path() string { return g.pathOf(regular, directory, directory, symlink) }

// directoryPath returns the path of a directory, mostly.
func (g *generator) directoryPath() string {
	if g.chance(15) {
		return g.path()
	}
	return g.pathOf(directory)
}

// programPath returns the path of a program, mostly.
func (g *generator) programPath() string {
	if g.exec && g.chance(80) {
		return g.spell(file{path: "x", kind: regular})
	}
	return g.path()
}

// newPath returns a path whose last component probably does not exist yet.
func (g *generator) newPath() string {
	if g.chance(25) {
		return g.path()
	}
	f := file{path: g.name()}
	if dir, ok := g.oneOf(directory); ok && g.chance(70) {
		f.path = dir.path + "/" + f.path
	}
	return g.spell(f)
}

func (g *generator) pathOf(kinds ...kind) string {
	if word, ok := g.oddPath(); ok {
		return word
	}
	f, ok := g.oneOf(kinds...)
	if !ok || g.chance(15) {
		g.named = file{}
		return strconv.Quote(g.way())
	}
	return g.spell(f)
}

// oddPath rarely returns a bad pointer or a very long name. It reports whether it does.
func (g *generator) oddPath() (string, bool) {
	if !g.without["pointers"] && g.chance(1) {
		return g.pick("NULL", "BAD"), true
	}
	if !g.without["long"] && g.chance(1) {
		return g.pick("long(255)", "long(256)", "long(4096)"), true
	}
	return "", false
}

// spell returns one of the many paths of a file.
func (g *generator) spell(f file) string {
	g.named = f
	at := f.path
	for _, l := range g.files {
		if rest, ok := strings.CutPrefix(at, l.leads+"/"); ok && l.leads != "" && g.chance(40) {
			at = l.path + "/" + rest
			break
		}
	}
	if g.p.Chroot && g.chance(20) {
		return strconv.Quote("/" + at)
	}
	at = relative(g.base, at)
	switch n := g.IntN(100); {
	case n < 4:
		at = "./" + at
	case n < 8:
		at = g.name() + "/../" + at
	case n < 10:
		at = strings.Replace(at, "/", "//", 1)
	case n < 13:
		at += "/"
	case n < 14:
		at += "/."
	case n < 15:
		at += "/.."
	case n < 21 && g.proc && g.base == g.cwd[g.actor]:
		at = g.pick("/proc/self/cwd/", "/proc/self/root/proc/self/cwd/", "/proc/thread-self/cwd/") + at
	}
	return strconv.Quote(at)
}

// relative returns the path at relative to base. Both are relative to the same directory.
func relative(base, at string) string {
	if base == "" || base == "." {
		return at
	}
	if rest, ok := strings.CutPrefix(at, base+"/"); ok {
		return rest
	}
	return strings.Repeat("../", 1+strings.Count(base, "/")) + at
}

// way returns a path, without quotes, that may lead anywhere.
func (g *generator) way() string {
	switch n := g.IntN(100); {
	case n < 40:
		return g.name()
	case n < 65:
		return g.directoryName() + "/" + g.name()
	case n < 70:
		return "l/" + g.name()
	case n < 74:
		return g.directoryName() + "/../" + g.name()
	case n < 77:
		return "../" + g.name()
	case n < 80:
		return "."
	case n < 82:
		return ".."
	case n < 84:
		return g.name() + "/"
	case n < 86:
		return g.directoryName() + "//" + g.directoryName() + "/" + g.name()
	case n < 88:
		return ""
	case n < 91 && g.p.Chroot:
		return "/" + g.name()
	case n < 100 && g.proc:
		return "/proc/self/fd/" + strconv.Itoa(g.IntN(8))
	}
	return g.name()
}

// linkTarget returns the target of a symbolic link. Outside of a chroot, it leads to no
// file of the machine.
func (g *generator) linkTarget() string {
	if g.p.Chroot && g.chance(30) {
		return strconv.Quote("/" + g.name())
	}
	if g.proc && g.chance(5) {
		return strconv.Quote(g.pick("/proc/self/fd/3", "/proc/self/cwd/a"))
	}
	if f, ok := g.oneOf(regular, directory, symlink); ok && g.chance(50) {
		return strconv.Quote(g.pick(f.path, f.path, "../"+f.path))
	}
	return g.pick(`"a"`, `"b"`, `"d1"`, `"d1"`, `"d2"`, `"d1/a"`, `"../a"`, `"l"`, `"n"`, `"."`, `".."`, `"d1/"`, `""`)
}

// fd returns a descriptor of any file.
func (g *generator) fd() string { return g.fdOf(regular, directory, symlink) }

// directoryFD returns a descriptor of a directory, mostly.
func (g *generator) directoryFD() string { return g.fdOf(directory) }

func (g *generator) fdOf(kinds ...kind) string {
	g.named = file{}
	if len(g.opened) == 0 || g.chance(4) {
		return g.pick("-1", "0", "0", "99")
	}
	var of []int
	for f, to := range g.opened {
		if slices.Contains(kinds, to.kind) {
			of = append(of, f)
		}
	}
	f := g.IntN(len(g.opened))
	if len(of) > 0 && g.chance(90) {
		f = of[g.IntN(len(of))]
	}
	if f == g.watch0 || slices.Contains(g.sockets, f) || !g.isDescriptor(f) {
		return "-1"
	}
	g.named = g.opened[f]
	return "f" + strconv.Itoa(f)
}

// socket returns a descriptor of socket(2). Other calls do not use them, because they
// count as the caller's own.
func (g *generator) socket() string {
	if len(g.sockets) == 0 || g.chance(5) {
		return g.fd()
	}
	return "f" + strconv.Itoa(g.sockets[g.IntN(len(g.sockets))])
}

// watch returns the descriptor of inotify_init(2).
func (g *generator) watch() string { return "f" + strconv.Itoa(g.watch0) }

// dirfd returns the descriptor at which the next path starts.
func (g *generator) dirfd() string {
	g.base = g.cwd[g.actor]
	held := slices.ContainsFunc(g.opened, func(f file) bool { return f.kind == directory })
	switch n := g.IntN(100); {
	case n < 3:
		return g.fd()
	case n < 55, !held:
		return "AT_FDCWD"
	}
	word := g.directoryFD()
	if g.named.kind == directory {
		g.base = g.named.path
	}
	return word
}
