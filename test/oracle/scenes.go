package main

import (
	"strconv"
)

// prepare adds the beginning of a program, so that later operations are subject to
// permissions: typical directories, and actors with other identities.
func (g *generator) prepare() {
	if g.chance(10) {
		return // only an empty directory and root
	}
	scenes := []func(*generator){(*generator).shared, (*generator).team, (*generator).home, (*generator).links, (*generator).hardLinks, (*generator).loose}
	if g.exec {
		g.setIDProgram()
	}
	for range 1 + g.IntN(2) {
		scenes[g.IntN(len(scenes))](g)
	}
	if g.ipc {
		g.objects()
	}
	if g.chance(50) {
		g.hold()
	}
	if !g.without["actors"] && g.chance(85) {
		for range 1 + g.IntN(2) {
			g.start(1, "fork")
			if !g.without["identities"] {
				g.become(g.actors)
			}
		}
		if g.chance(12) {
			g.leave()
		}
		if !g.without["namespaces"] && g.chance(25) {
			g.nest(g.actors)
		}
	}
	if g.exec && g.actors > 1 && g.chance(60) {
		g.by(g.actors, "execve", `"x"`, `["x"]`, "[]")
	}
}

// removeLower removes the files of an overlay's lower layer (place.h). With a second
// name, such a file becomes two inodes with independent modes.
func (g *generator) removeLower() {
	for _, name := range []string{"a", "b", "x", "l", "d1/a", "d2/b", "d2/m", "d2/p"} {
		g.line("unlinkat", "AT_FDCWD", strconv.Quote(name), "0")
	}
	for _, name := range []string{"d1", "d2"} {
		g.line("unlinkat", "AT_FDCWD", strconv.Quote(name), "AT_REMOVEDIR")
	}
}

// makeDirectory, makeFile and makeLink create files with the given owners. The umask does
// not apply to the modes.
func (g *generator) makeDirectory(at, uid, gid, mode string) {
	g.line("mkdirat", "AT_FDCWD", strconv.Quote(at), "0755")
	g.give(at, uid, gid)
	if mode != "0755" {
		g.line("fchmodat", "AT_FDCWD", strconv.Quote(at), mode)
	}
	g.learn(at, directory)
}

func (g *generator) makeFile(at, uid, gid, mode string) {
	g.named = file{path: at, kind: regular}
	f := g.line("openat", "AT_FDCWD", strconv.Quote(at), "O_RDWR|O_CREAT", "0644")
	if g.chance(50) {
		g.line("write", f, `"content"`)
	}
	g.give(at, uid, gid)
	if mode != "0644" {
		g.line("fchmodat", "AT_FDCWD", strconv.Quote(at), mode)
	}
	g.learn(at, regular)
}

func (g *generator) makeLink(at, target, leads string) {
	g.line("symlinkat", strconv.Quote(target), "AT_FDCWD", strconv.Quote(at))
	if g.chance(50) {
		g.line("fchownat", "AT_FDCWD", strconv.Quote(at), g.user(), g.user(), "AT_SYMLINK_NOFOLLOW")
	}
	g.learn(at, symlink)
	g.files[len(g.files)-1].leads = leads
}

func (g *generator) give(at, uid, gid string) {
	if uid != "0" || gid != "0" {
		g.line("fchownat", "AT_FDCWD", strconv.Quote(at), uid, gid, "0")
	}
}

// grant sets an ACL of a file.
func (g *generator) grant(at, name string) {
	if !g.without["acl"] && !g.without["attributes"] {
		g.line("setxattr", strconv.Quote(at), strconv.Quote(name), g.acl(), "0")
	}
}

const (
	accessACL  = "system.posix_acl_access"
	defaultACL = "system.posix_acl_default"
)

// owner returns the id of a user or of root.
func (g *generator) owner() string { return g.pick("0", "1000", "1000", "1001") }

// shared creates a directory like /tmp.
func (g *generator) shared() {
	d := g.directoryName()
	g.makeDirectory(d, g.owner(), g.owner(), g.pick("01777", "01777", "01775", "0777", "03777"))
	g.makeFile(d+"/a", "1000", g.owner(), g.fileMode())
	g.makeFile(d+"/b", g.owner(), "1001", g.fileMode())
	if g.chance(50) {
		g.makeDirectory(d+"/d2", g.owner(), g.owner(), g.directoryMode())
	}
	if g.chance(30) {
		g.makeLink(d+"/l", "a", "")
	}
}

// team creates a directory of a group.
func (g *generator) team() {
	d := g.directoryName()
	g.makeDirectory(d, g.owner(), g.user(), g.pick("02775", "02775", "02770", "02755", "0775", "03775"))
	if g.chance(60) {
		g.grant(d, defaultACL)
	}
	if g.chance(40) {
		g.grant(d, accessACL)
	}
	g.makeFile(d+"/a", g.owner(), g.user(), g.fileMode())
	if g.chance(50) {
		g.makeDirectory(d+"/d1", g.owner(), g.user(), g.directoryMode())
		g.makeFile(d+"/d1/b", g.owner(), g.owner(), g.fileMode())
	}
}

// home creates a directory of a user that others can mostly not read.
func (g *generator) home() {
	d, uid := g.directoryName(), g.user()
	g.makeDirectory(d, uid, uid, g.pick("0700", "0711", "0750", "0755", "0710", "0500"))
	g.makeFile(d+"/a", uid, uid, g.fileMode())
	g.makeDirectory(d+"/d2", uid, g.owner(), g.directoryMode())
	g.makeFile(d+"/d2/c", g.owner(), uid, g.fileMode())
	if g.chance(40) {
		g.grant(g.pick(d, d+"/a", d+"/d2"), accessACL)
	}
}

// links creates a chain of symbolic links.
func (g *generator) links() {
	d := g.directoryName()
	g.makeDirectory(d, g.owner(), g.owner(), g.directoryMode())
	g.makeFile(d+"/a", g.owner(), g.owner(), g.fileMode())
	g.makeLink("l", d, d)
	g.makeLink("m", "l", d)
	g.makeLink(d+"/n", "../m/a", "")
	if g.chance(40) {
		g.makeLink(d+"/l", "..", "")
	}
}

// hardLinks creates a file with names in two directories.
func (g *generator) hardLinks() {
	g.makeDirectory("d1", g.owner(), g.owner(), g.directoryMode())
	g.makeDirectory("d2", g.owner(), g.owner(), g.directoryMode())
	g.makeFile("d1/a", g.owner(), g.owner(), g.fileMode())
	if g.linkable {
		g.line("linkat", "AT_FDCWD", `"d1/a"`, "AT_FDCWD", `"d2/a"`, "0")
		g.learn("d2/a", regular)
	}
}

// loose creates a few files and directories in the directory of the program.
func (g *generator) loose() {
	if g.chance(50) {
		g.line("fchmodat", "AT_FDCWD", `"."`, g.pick("0777", "01777", "02777"))
	}
	for range 1 + g.IntN(3) {
		if g.chance(60) {
			g.makeFile(g.fileName(), g.owner(), g.owner(), g.mode())
		} else {
			g.makeDirectory(g.directoryName(), g.owner(), g.owner(), g.mode())
		}
	}
	if f, ok := g.oneOf(regular, directory); ok && g.chance(50) {
		g.grant(f.path, accessACL)
	}
}

// setIDProgram creates a program that changes the identity of its caller.
func (g *generator) setIDProgram() {
	f := g.line("openat", "AT_FDCWD", `"x"`, "O_WRONLY|O_CREAT|O_TRUNC", "0755")
	g.line("write", f, "image")
	g.line("close", f)
	if !g.without["identities"] {
		g.line("fchownat", "AT_FDCWD", `"x"`, g.id(), g.id(), "0")
	}
	g.line("fchmodat", "AT_FDCWD", `"x"`, g.pick("0755", "04755", "04755", "02755", "06755", "0711", "04711", "02745", "0700"))
	if !g.without["filecaps"] && g.chance(25) {
		g.line("setxattr", `"x"`, `"security.capability"`, g.fileCaps(), "0")
	}
	g.learn("x", regular)
}

// hold opens some files, and then changes their permissions.
func (g *generator) hold() {
	for range 1 + g.IntN(3) {
		f, ok := g.oneOf(g.pickKind())
		if !ok {
			return
		}
		flags := g.pick("O_RDONLY", "O_RDONLY", "O_PATH")
		if f.kind == regular {
			flags = g.pick("O_RDONLY", "O_RDWR", "O_WRONLY", "O_PATH")
		}
		if g.special {
			flags += "|O_NONBLOCK"
		}
		g.named = f
		g.line("openat", "AT_FDCWD", strconv.Quote(f.path), flags, "0")
		if g.chance(40) {
			g.line("fchmodat", "AT_FDCWD", strconv.Quote(f.path), g.pick("0", "0700", "0711", "0755", "0444"))
		}
	}
}

func (g *generator) pickKind() kind {
	if g.chance(60) {
		return directory
	}
	return regular
}

// leave moves an actor into a directory that is then removed or renamed.
func (g *generator) leave() {
	g.makeDirectory("d9", g.owner(), g.owner(), g.directoryMode())
	g.by(g.actors, "chdir", `"d9"`)
	g.cwd[g.actors] = "d9"
	if g.chance(70) {
		g.line("unlinkat", "AT_FDCWD", `"d9"`, "AT_REMOVEDIR")
		g.forget("d9")
	} else {
		g.line("renameat2", "AT_FDCWD", `"d9"`, "AT_FDCWD", `"n"`, "0")
	}
}

// nest moves an actor into a user namespace of its own, and mostly maps ids there.
func (g *generator) nest(actor int) {
	g.by(actor, "prctl", "PR_SET_DUMPABLE", "1", "0", "0", "0") // as after execve(2): its files in /proc are its own
	g.by(actor, "unshare", "CLONE_NEWUSER")
	writer, of := 1, "@"+strconv.Itoa(actor)
	text := g.pick("0 1000 1\n1 1001 1\n1000 100000 100\n", "0 1000 2\n65534 65534 1\n", "0 0 2000\n", "1000 1000 1\n1001 0 1\n", "0 0 1\n1000 1000 2\n")
	if g.chance(30) {
		writer, text = actor, g.pick("0 1000 1\n", "1001 1001 1\n", "5 65534 1\n")
		g.by(writer, "map", of, `"setgroups"`, `"deny"`, "&1024")
	}
	for _, name := range []string{"uid_map", "gid_map"} {
		if g.chance(90) {
			g.by(writer, "map", of, strconv.Quote(name), strconv.Quote(text), "&1024")
		}
	}
}

// become changes the identity of an actor.
func (g *generator) become(actor int) {
	uid, gid := g.user(), g.user()
	if g.chance(70) {
		g.by(actor, "setgroups", g.groups())
	}
	switch n := g.IntN(100); {
	case n < 65: // like login
		g.by(actor, "setresgid", gid, gid, gid)
		g.by(actor, "setresuid", uid, uid, uid)
	case n < 75: // a daemon that keeps some capabilities
		g.by(actor, "prctl", "PR_SET_KEEPCAPS", "1", "0", "0", "0")
		g.by(actor, "setresgid", gid, gid, gid)
		g.by(actor, "setresuid", uid, uid, uid)
		some := g.someCaps()
		g.by(actor, "capset", "["+some+";"+some+";none]")
	case n < 83: // root without most capabilities
		some := g.someCaps()
		g.by(actor, "capset", "["+some+";"+some+";none]")
	case n < 91: // a file server
		g.by(actor, "setfsgid", gid)
		g.by(actor, "setfsuid", uid)
	default: // a set-user-ID program
		g.by(actor, "setresgid", "4294967295", gid, "4294967295")
		g.by(actor, "setresuid", "4294967295", uid, "4294967295")
	}
}
