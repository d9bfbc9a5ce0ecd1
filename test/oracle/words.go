package main

import (
	"strconv"
	"strings"
)

// randomWord maps the name of a param to a function that returns a random word for it.
// The pools of words are small, so that operations refer to the same files and ids.
var randomWord = map[string]func(*generator) string{
	"mode":        (*generator).mode,
	"umask":       (*generator).umask,
	"openFlags":   (*generator).openFlags,
	"removeFlags": func(g *generator) string { return g.removeFlags() },
	"renameFlags": func(g *generator) string {
		return g.flag(g.pick("0", "0", "0", "RENAME_NOREPLACE", "RENAME_EXCHANGE", "RENAME_EXCHANGE"))
	},
	"linkFlags": func(g *generator) string { return g.flag(g.pick("0", "0", "AT_SYMLINK_FOLLOW")) },
	"nofollowFlags": func(g *generator) string {
		return g.flag(g.pick("0", "0", "0", "AT_SYMLINK_NOFOLLOW", "AT_SYMLINK_NOFOLLOW", "AT_EMPTY_PATH", "AT_EMPTY_PATH|AT_SYMLINK_NOFOLLOW"))
	},
	"accessMode": func(g *generator) string {
		return g.flag(g.pick("F_OK", "R_OK", "W_OK", "X_OK", "R_OK|W_OK", "R_OK|X_OK"))
	},
	"accessFlags": func(g *generator) string {
		return g.flag(g.pick("0", "AT_EACCESS", "AT_EACCESS", "AT_SYMLINK_NOFOLLOW", "AT_EACCESS|AT_SYMLINK_NOFOLLOW", "AT_EMPTY_PATH|AT_EACCESS"))
	},
	"execFlags": func(g *generator) string {
		return g.flag(g.pick("0", "0", "0", "AT_EMPTY_PATH", "AT_SYMLINK_NOFOLLOW"))
	},
	"statxMask": func(g *generator) string {
		return g.pick("STATX_BASIC_STATS", "STATX_BASIC_STATS", "STATX_MODE|STATX_UID")
	},
	"id":           (*generator).id,
	"length":       func(g *generator) string { return g.pick("0", "0", "1", "3", "3", "100", "100", "-1") },
	"signal":       func(g *generator) string { return g.pick("0", "SIGURG", "SIGWINCH", "SIGUSR1", "SIGCONT", "65") },
	"unixFamily":   func(*generator) string { return "AF_UNIX" },
	"socketType":   func(g *generator) string { return g.pick("SOCK_STREAM|SOCK_NONBLOCK", "SOCK_DGRAM|SOCK_NONBLOCK") },
	"socketLevel":  func(*generator) string { return "SOL_SOCKET" },
	"socketOption": func(g *generator) string { return g.pick("SO_PRIORITY", "SO_PRIORITY", "SO_MARK", "SO_KEEPALIVE") },
	"zero":         func(*generator) string { return "0" },
	"one":          func(*generator) string { return "1" },
	"inotifyFlags": func(*generator) string { return "IN_NONBLOCK" },
	"socket":       (*generator).socket,
	"watch":        (*generator).watch,
	"inotifyMask": func(g *generator) string {
		return g.pick("IN_MODIFY", "IN_MODIFY|IN_DONT_FOLLOW", "IN_MODIFY|IN_ONLYDIR", "0")
	},
	"null":          func(*generator) string { return "NULL" },
	"fd":            (*generator).fd,
	"dirfd":         (*generator).dirfd,
	"path":          (*generator).path,
	"newPath":       (*generator).newPath,
	"directoryFD":   (*generator).directoryFD,
	"directoryPath": (*generator).directoryPath,
	"programPath":   (*generator).programPath,
	"target":        (*generator).linkTarget,
	"attribute":     func(g *generator) string { return g.attributeAndValue()[0] },
	"content":       func(g *generator) string { return g.pick(`"x"`, `"hello"`, `"#! x\n"`, `""`, "image") },
	"groups":        (*generator).groups,
	"times": func(g *generator) string {
		return g.pick("NULL", "[now,now]", "[now,omit]", "[omit,omit]", "[100,200]", "[omit,300]", "[bad,0]")
	},
	"how": (*generator).how,
	// The flags of the second and third are FS_XFLAG_NODUMP, and one that no kernel knows.
	"fileAttr": func(g *generator) string {
		return g.pick("[0,0,0]", "[0,0,0]", "[0x80,0,0]", "[0x10000000000,0,0]", "[0,0]")
	},
	// Not FS_IOC_SETFLAGS, whose result depends on when ext4 has allocated blocks.
	"inodeCommand": func(*generator) string { return "FS_IOC_FSSETXATTR" },
	// The flags of the second are FS_XFLAG_NODUMP.
	"inodeFlags":  func(g *generator) string { return g.pick("[0,0,0,0]", "[0,0,0,0]", "[0x80,0,0,0]") },
	"optionValue": func(g *generator) string { return g.pick("[0]", "[6]", "[7]", "[7]", "[0xffffffff]") },
	"sockaddr":    func(g *generator) string { return strconv.Quote(g.pick("s", "d1/s", "d2/s", g.name())) },
	"argv":        func(g *generator) string { return g.pick(`["x"]`, `["x","y"]`, `[]`) },
	"caps":        func(g *generator) string { return "[" + g.capSet() + ";" + g.capSet() + ";" + g.capSet() + "]" },
	"actorID":     func(g *generator) string { return "@" + strconv.Itoa(g.IntN(g.actors)+1) },
	"out":         func(g *generator) string { return g.orBad("&") },
	"capsOut":     func(*generator) string { return "&" },
	"handle":      func(*generator) string { return "&" },
	"buffer": func(g *generator) string {
		return g.orBad(g.pick("&4096", "&4096", "&4096", "&1024", "&64", "&3", "&0"))
	},
	"names": func(g *generator) string {
		if g.without["sizes"] {
			return g.orBad("&4096")
		}
		return g.orBad(g.pick("&4096", "&4096", "&0", "&3"))
	},
	"namespaces": func(*generator) string { return "CLONE_NEWUSER" },
	"mapFile":    func(g *generator) string { return strconv.Quote(g.pick("uid_map", "uid_map", "gid_map", "setgroups")) },
	"mapOut":     func(*generator) string { return "&1024" },
	"mapText":    func(g *generator) string { return strconv.Quote(g.mapText()) },
	"groupsOut":  func(g *generator) string { return g.pick("&64", "&64", "&0", "&1") },
}

func (g *generator) pick(words ...string) string { return words[g.IntN(len(words))] }

// flag rarely replaces a word by a flag that does not exist.
func (g *generator) flag(word string) string {
	if g.chance(3) {
		return g.pick("0x1", "0x10", "8")
	}
	return word
}

// removeFlags mostly returns the flags that suit the file to be removed.
func (g *generator) removeFlags() string {
	if g.named.kind == directory != g.chance(10) {
		return "AT_REMOVEDIR"
	}
	return g.flag("0")
}

func (g *generator) orBad(word string) string {
	if !g.without["pointers"] && g.chance(1) {
		return g.pick("NULL", "BAD")
	}
	return word
}

func (g *generator) mode() string {
	return g.pick("0644", "0755", "0755", "0777", "0600", "0700", "0666", "0640", "0711", "0750", "0444", "0111", "0222", "0000", "0070", "0007",
		"04755", "02755", "06755", "02775", "01777", "04711", "01000", "07777")
}

func (g *generator) fileMode() string {
	return g.pick("0644", "0644", "0600", "0640", "0664", "0660", "0666", "0444", "0604", "0060", "0000", "04755", "02755", "02644")
}

func (g *generator) directoryMode() string {
	return g.pick("0755", "0755", "0777", "0700", "0711", "0750", "0770", "0555", "0333", "01777", "02775", "02755", "0705", "0000")
}

func (g *generator) umask() string { return g.pick("0", "022", "077", "027", "0777", "02", "0177") }

// user returns the id of a non-root user.
func (g *generator) user() string { return g.pick("1000", "1000", "1001", "65534") }

func (g *generator) id() string {
	return g.pick("0", "0", "0", "1", "1000", "1000", "1000", "1001", "1001", "65534", "4294967295", "4294967295", "4294967294", "100000")
}

func (g *generator) groups() string {
	return g.pick("[]", "[0]", "[1000]", "[1001]", "[1000,1001]", "[1001,1,1000]", "[65534]", "[4294967294]")
}

// mapText returns the text of a uid_map, a gid_map or setgroups. Most are valid for some process.
func (g *generator) mapText() string {
	return g.pick("0 1000 1\n", "0 1001 1\n", "1000 1000 1\n", "0 0 1\n", "5 1000 1\n", "0 1000 1\n1 1001 1\n1000 100000 100\n", "0 0 2000\n",
		"0 1000 2\n65534 65534 1\n", "0 1 1\n1000 0 1\n", "0 0 4294967295\n", "deny", "deny", "allow", "x")
}

func (g *generator) fileName() string      { return g.pick("a", "a", "b", "c") }
func (g *generator) directoryName() string { return g.pick("d1", "d1", "d2") }
func (g *generator) name() string          { return g.pick("a", "b", "c", "d1", "d2", "l", "x", "m", "n") }

func (g *generator) openFlags() string {
	var flags []string
	if g.chance(8) {
		flags = []string{"O_PATH"}
	} else {
		flags = []string{g.pick("O_RDONLY", "O_RDONLY", "O_WRONLY", "O_RDWR")}
	}
	for _, f := range []struct {
		name    string
		percent int
	}{{"O_CREAT", 40}, {"O_EXCL", 8}, {"O_TRUNC", 12}, {"O_APPEND", 6}, {"O_DIRECTORY", 12}, {"O_NOFOLLOW", 10}, {"O_NOATIME", 4}, {"O_CLOEXEC", 10}, {"O_TMPFILE", 3}} {
		if g.chance(f.percent) {
			flags = append(flags, f.name)
		}
	}
	if g.special || g.chance(5) {
		flags = append(flags, "O_NONBLOCK")
	}
	return strings.Join(flags, "|")
}

func (g *generator) how() string {
	resolve := g.pick("0", "0", "0", "RESOLVE_BENEATH", "RESOLVE_IN_ROOT", "RESOLVE_NO_SYMLINKS", "RESOLVE_NO_MAGICLINKS", "RESOLVE_NO_XDEV")
	flags, mode := g.openFlags(), "0"
	if strings.Contains(flags, "O_CREAT") || strings.Contains(flags, "O_TMPFILE") || g.chance(3) {
		mode = g.mode()
	}
	return "[" + flags + "," + mode + "," + resolve + "]"
}

// node returns the type and mode of a new file, and its device. The devices do not work:
// their numbers are for local use, and no driver has them.
func (g *generator) node() []string {
	types := []string{"S_IFREG", "0"}
	if g.special {
		types = append(types, "S_IFIFO", "S_IFIFO", "S_IFSOCK")
		if !g.without["devices"] {
			types = append(types, "S_IFCHR", "S_IFBLK")
		}
	}
	kind := g.pick(types...)
	switch kind {
	case "S_IFCHR":
		return []string{kind + "|" + g.mode(), g.pick("0x7801", "0x7802")}
	case "S_IFBLK":
		return []string{kind + "|" + g.mode(), g.pick("0x7802", "0x7f00")}
	}
	return []string{kind + "|" + g.mode(), "0"}
}

func (g *generator) attributeAndValue() []string {
	flags := g.pick("0", "0", "0", "XATTR_CREATE", "XATTR_REPLACE")
	switch n := g.IntN(100); {
	case n < 45 && !g.without["acl"]:
		name := g.pick(`"system.posix_acl_access"`, `"system.posix_acl_access"`, `"system.posix_acl_default"`)
		return []string{name, g.acl(), flags}
	case n < 60 && !g.without["filecaps"]:
		return []string{`"security.capability"`, g.fileCaps(), flags}
	case n < 63:
		return []string{g.pick(`"user."`, `"x.a"`, `""`, `"system.a"`, "long(256)"), `"v"`, flags}
	}
	return []string{g.pick(`"user.a"`, `"user.a"`, `"user.b"`, `"trusted.a"`, `"security.a"`), g.pick(`"v"`, `"value"`, `""`), flags}
}

func (g *generator) acl() string {
	perm := func() string { return strconv.Itoa(g.IntN(8)) }
	entries := []string{"u::" + perm()}
	named := false
	for range g.IntN(3) {
		entries = append(entries, "u:"+g.pick("0", "1000", "1000", "1001")+":"+perm())
		named = true
	}
	entries = append(entries, "g::"+perm())
	if g.chance(30) {
		entries = append(entries, "g:"+g.pick("0", "1000", "1001")+":"+perm())
		named = true
	}
	if named != g.chance(5) {
		entries = append(entries, "m::"+perm())
	}
	entries = append(entries, "o::"+perm())
	return "acl(" + strings.Join(entries, ",") + ")"
}

var capNames = []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
	"CAP_SETPCAP", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_SETFCAP", "CAP_IPC_OWNER", "CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_NET_RAW"}

func (g *generator) capSet() string {
	if g.chance(50) {
		return g.pick("none", "all")
	}
	names := []string{g.pick(capNames...)}
	if g.chance(50) {
		names = append(names, g.pick(capNames...))
	}
	return strings.Join(names, ",")
}

// someCaps returns a few capabilities, mostly about files.
func (g *generator) someCaps() string {
	return g.pick("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_CHOWN,CAP_FOWNER", "CAP_DAC_OVERRIDE,CAP_FSETID",
		"CAP_SETUID,CAP_SETGID", "CAP_SETFCAP", "CAP_MKNOD,CAP_DAC_READ_SEARCH", "CAP_KILL", "CAP_SYS_CHROOT", "CAP_IPC_OWNER", "CAP_SYS_ADMIN")
}

func (g *generator) fileCaps() string {
	return "cap(" + g.pick("0", "1") + ":" + g.capSet() + ":" + g.capSet() + ")"
}

// prctl returns arguments of prctl(2) that concern identities.
func (g *generator) prctl() []string {
	bit := g.pick(capNames...)
	var words []string
	switch n := g.IntN(100); {
	case n < 20:
		words = []string{"PR_SET_KEEPCAPS", g.pick("0", "1", "1", "2")}
	case n < 25:
		words = []string{"PR_GET_KEEPCAPS", "0"}
	case n < 45:
		words = []string{"PR_CAPBSET_DROP", bit}
	case n < 55:
		words = []string{"PR_CAPBSET_READ", bit}
	case n < 75:
		words = []string{"PR_CAP_AMBIENT", g.pick("PR_CAP_AMBIENT_RAISE", "PR_CAP_AMBIENT_RAISE", "PR_CAP_AMBIENT_LOWER", "PR_CAP_AMBIENT_IS_SET"), bit}
	case n < 78:
		words = []string{"PR_CAP_AMBIENT", "PR_CAP_AMBIENT_CLEAR_ALL"}
	case n < 90:
		words = []string{"PR_SET_SECUREBITS", g.pick("0", "1", "4", "5", "16", "64", "0x2", "128")}
	case n < 96 || g.without["nonewprivs"]:
		words = []string{"PR_GET_SECUREBITS"}
	case n < 98:
		words = []string{"PR_SET_NO_NEW_PRIVS", "1"}
	default:
		words = []string{"PR_GET_NO_NEW_PRIVS"}
	}
	for len(words) < 5 {
		words = append(words, "0")
	}
	return words
}
