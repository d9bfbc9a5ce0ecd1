package main

import (
	"fmt"
	"path/filepath"
	"slices"
)

const (
	rowStat    = "stat"
	rowStatus  = "git status, 10k files"
	rowInside  = "the same, in a running container"
	rowInstall = "apt-get install, 2k files"
	rowFind    = "find -ls, 50k files"
	rowExtract = "tar -x, 10k files"
	rowArchive = "tar -c, 10k files"
	rowCopy    = "cp -a, 10k files"
	rowRemove  = "rm -r, 10k files"
	rowBuild1  = "C build of 100 tiny files, make -j1"
	rowBuild2  = "C build of 100 tiny files, make -j2"

	rowLibrary1 = "C build of tar's 129 library files, make -j1"
	rowLibrary2 = "C build of tar's 129 library files, make -j2"
)

// row is one workload. Its strings may contain the placeholders of expand.
type row struct {
	name  string
	needs []string
	argv  []string
	// prepare creates what the row reads, once, in the fixtures directory.
	prepare func(fixtures string) error
	// warm runs in the column, untimed, before each timed run.
	warm []string
	// printsNanoseconds rows measure inside the program. Their figure is what they print,
	// not their wall time.
	printsNanoseconds bool
	// slow rows take seconds, so they run in half of the rounds.
	slow bool
	// build rows are compilations. Their aim is to be close to native.
	build bool
	// identity rows are calls that a preloaded library answers without a system call.
	identity bool
	// chroot rows run their command in the root file system {run}/root, with a clean
	// environment.
	chroot bool
	// provided is the directory in the fixtures that the first stage must have filled.
	provided string
	// cannot names the columns that cannot run the row.
	cannot []string
}

// runsIn reports whether a column can run the row.
func (r row) runsIn(c column) bool {
	return !slices.Contains(r.cannot, c.name) && (!r.chroot || c.chroot != nil)
}

func (r row) unless(columns ...string) row {
	r.cannot = columns
	return r
}

func micro(name, loop string) row {
	return row{
		name:              name,
		needs:             []string{"gcc"},
		argv:              []string{"{bin}/micro", loop, "{run}/file", "100", "{id1}", "{id2}"},
		printsNanoseconds: true,
	}
}

func identity(r row) row {
	r.identity = true
	return r
}

func build(name string, jobs int) row {
	return row{
		name:    name,
		needs:   []string{"make", "gcc"},
		prepare: once("c", generateCProject),
		argv:    []string{"make", "-s", "-C", "{fixtures}/c", fmt.Sprintf("-j%d", jobs), "OUT={run}"},
		slow:    true,
		build:   true,
	}
}

// library builds real C files: those of gnulib in tar.
func library(name string, jobs int) row {
	return row{
		name:     name,
		needs:    []string{"tar", "chroot", "find"},
		provided: sourcesDir,
		warm: []string{"sh", "-c", "mkdir {run}/root && tar -C {run}/root --no-same-owner -xpf {fixtures}/" + sourcesDir + "/root.tar" +
			" --exclude=./dev/* --exclude=./build/coreutils --exclude=./usr/share/doc --exclude=./usr/share/locale && : >{run}/root/dev/null" +
			" && find {run}/root/build/tar -name '*.[ao]' -delete"},
		argv:   []string{"make", "-s", "-C", "/build/tar/gnu", fmt.Sprintf("-j%d", jobs)},
		chroot: true,
		slow:   true,
		build:  true,
	}
}

var rows = []row{
	micro(rowStat, "stat"),
	micro("fstat", "fstat"),
	micro("chown", "chown"),
	micro("open(O_CREAT)", "create"),
	micro("mkdir and rmdir", "mkdir"),
	identity(micro("geteuid", "geteuid")),
	identity(micro("setresuid there and back", "setresuid")).unless(columnBare),
	micro("fork, exec of sh -c :, wait", "shell"),
	// The others do not look at messages.
	micro("sendmsg and recvmsg", "message").unless("fakeroot", "proot -0", "pseudo"),
	micro("echo by TCP: 2 sendmsg, 2 recvmsg", "echo").unless("fakeroot", "proot -0", "pseudo"),
	{
		name:    rowFind,
		needs:   []string{"find"},
		prepare: once("tree50k", func(dir string) error { return makeTree(dir, 50_000, 0) }),
		argv:    []string{"find", "{fixtures}/tree50k", "-ls"},
		slow:    true,
	},
	{
		name:    rowExtract,
		needs:   []string{"tar"},
		prepare: once("archives", makeArchives),
		argv:    []string{"tar", "--same-owner", "--numeric-owner", "-xpf", "{fixtures}/archives/{archive}", "-C", "{run}"},
		slow:    true,
	},
	{
		name:    rowArchive,
		needs:   []string{"tar"},
		prepare: tree10k,
		// tar does not read files for an archive that is /dev/null.
		argv: []string{"sh", "-c", "tar -C {fixtures}/tree10k -cf - . | cat >/dev/null"},
		slow: true,
	},
	{
		name:    rowCopy,
		needs:   []string{"cp"},
		prepare: tree10k,
		argv:    []string{"cp", "-a", "{fixtures}/tree10k", "{run}/copy"},
		slow:    true,
	},
	{
		name:    rowRemove,
		needs:   []string{"rm"},
		prepare: tree10k,
		warm:    []string{"cp", "-a", "{fixtures}/tree10k", "{run}/copy"},
		argv:    []string{"rm", "-r", "{run}/copy"},
		slow:    true,
	},
	{
		name:    "find -ls, 10k files, twice at once",
		needs:   []string{"find"},
		prepare: tree10k,
		argv:    []string{"sh", "-c", "find {fixtures}/tree10k -ls & find {fixtures}/tree10k -ls & wait"},
		slow:    true,
	},
	{
		name:    "tar -c | tar -x, 10k files",
		needs:   []string{"tar"},
		prepare: tree10k,
		argv:    []string{"sh", "-c", "tar -C {fixtures}/tree10k -cf - . | tar -C {run} -xpf -"},
		slow:    true,
	},
	{
		name:    rowStatus,
		needs:   []string{"git"},
		prepare: repository,
		// git compares owners with its index, and the columns see different owners.
		warm: gitStatus("update-index", "-q", "--refresh"),
		// Without --no-optional-locks the command could write the index.
		argv: gitStatus("--no-optional-locks", "status", "--porcelain"),
	},
	{
		name:              rowInside,
		needs:             []string{"git", "bash"},
		prepare:           repository,
		warm:              gitStatus("update-index", "-q", "--refresh"),
		argv:              append([]string{"bash", "-c", timed, "bash"}, gitStatus("--no-optional-locks", "status", "--porcelain")...),
		printsNanoseconds: true,
	},
	{
		name:     rowInstall,
		needs:    []string{"tar", "chroot"},
		provided: debianDir,
		// Everything belongs to root, because the native column can create nothing else.
		// /dev/null is a regular file in all columns.
		warm: []string{"sh", "-c", "mkdir {run}/root && tar -C {run}/root --no-same-owner -xpf {fixtures}/" + debianDir + "/root.tar" +
			" --exclude=./dev/* --exclude=./usr/share/doc --exclude=./usr/share/locale && : >{run}/root/dev/null" +
			" && mkdir {run}/root/debs && cp {fixtures}/" + debianDir + "/*.deb {run}/root/debs"},
		argv: []string{"sh", "-c", "apt-get install -qq --yes --reinstall --allow-downgrades" +
			// A one-id namespace has neither the user _apt nor the group adm that gets
			// the log.
			" -o APT::Sandbox::User=root -o Dir::Log=/dev/null -o Dpkg::Use-Pty=false /debs/*.deb >/dev/null"},
		chroot: true,
		slow:   true,
	},
	build(rowBuild1, 1),
	build(rowBuild2, 2),
	library(rowLibrary1, 1),
	library(rowLibrary2, 2),
}

// tree10k creates a tree that several rows read.
var tree10k = once("tree10k", func(dir string) error { return makeTree(dir, 10_000, 1024) })

// repository creates what the rows of git read.
var repository = once("repository", makeRepository)

// timed runs its arguments as a command and prints the nanoseconds that it took, with the
// resolution of bash's clock: microseconds. It starts no other process.
const timed = `start=$EPOCHREALTIME; "$@" >/dev/null || exit; end=$EPOCHREALTIME; echo $(((${end/./} - ${start/./}) * 1000))`

// gitStatus lets the repository belong to another user, as it does in columns that leave
// owners as they are.
func gitStatus(argv ...string) []string {
	return append([]string{"git", "-c", "safe.directory=*", "-C", "{fixtures}/repository"}, argv...)
}

// once returns a function that creates a fixture unless another row has already created it.
func once(name string, make func(dir string) error) func(fixtures string) error {
	return func(fixtures string) error {
		dir := filepath.Join(fixtures, name)
		if exists(dir) {
			return nil
		}
		return make(dir)
	}
}
