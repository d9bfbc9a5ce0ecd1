package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// postgresBin returns the directory of PostgreSQL's newest server; "" if there is none, or no user
// that it may run as.
func postgresBin() string {
	all, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if _, e := user.Lookup("postgres"); err != nil || e != nil || len(all) == 0 {
		return ""
	}
	return filepath.Dir(slices.Max(all))
}

// postgres is a job with a server of its own, which runs as another user.
type postgres struct {
	*programs
	bin, dir string
	as       *syscall.Credential
	server   *exec.Cmd
}

// postgresRestart is after how many transactions the server is stopped, its files are checked, and it
// is started again.
const postgresRestart = 20

// postgresMain changes a database, which must stay consistent.
func postgresMain(j job) error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(account.Gid)
	if err != nil {
		return err
	}
	p := &postgres{newPrograms(j), postgresBin(), dir, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil}
	if err := p.report(); err != nil { // what follows takes a while
		return err
	}
	p.call(nil, os.Chown(".", uid, gid), "chown")
	p.run("initdb", "-D", "data", "-A", "trust", "-N", "-k", "--locale=C")
	p.start()
	p.sql("CREATE TABLE t(n integer PRIMARY KEY, text text)")
	err = p.untilStopped(func() {
		p.round++
		p.sql(fmt.Sprintf("BEGIN; INSERT INTO t VALUES(%d, '%x'); COMMIT", p.round, p.rand.Uint64()))
		if got, want := p.sql("SELECT count(*), max(n) FROM t"), fmt.Sprintf("%d|%d\n", p.round, p.round); got != want {
			p.wrong("the table has %q, want %q", got, want)
		}
		if p.round%postgresRestart == 0 {
			p.stop()
			p.run("pg_checksums", "--check", "-D", "data")
			p.start()
		}
	})
	p.stop()
	p.call(nil, os.RemoveAll("data"), "removing the data")
	p.call(nil, os.Chown(".", 0, 0), "chown")
	return errors.Join(err, p.finish())
}

// command returns the command that runs a program of PostgreSQL.
func (p *postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	return cmd
}

func (p *postgres) run(name string, args ...string) string {
	return p.runCommand(p.command(name, args...))
}

func (p *postgres) sql(text string) string {
	return p.run("psql", "-h", p.dir, "-d", "postgres", "-qAt", "-v", "ON_ERROR_STOP=1", "-c", text)
}

// start starts the server, and waits until it accepts connections.
func (p *postgres) start() {
	// Without the network, and with shared memory that ends with its files.
	p.server = p.command("postgres", "-D", "data", "-k", p.dir, "-c", "listen_addresses=", "-c", "dynamic_shared_memory_type=mmap")
	log, err := os.OpenFile("log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err == nil {
		defer log.Close()
		p.server.Stderr = log
		err = p.server.Start()
	}
	if !p.call(nil, err, "starting postgres") {
		return
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if p.command("pg_isready", "-q", "-h", p.dir).Run() == nil {
			return
		}
	}
	text, _ := os.ReadFile("log") // for the message only
	p.wrong("postgres does not start: %s", text)
}

// stop stops the server.
func (p *postgres) stop() {
	if p.server.Process == nil {
		return
	}
	err := p.server.Process.Signal(unix.SIGINT) // "fast shutdown"
	text, _ := os.ReadFile("log")               // for the message only
	p.call(nil, errors.Join(err, p.server.Wait()), "stopping postgres: %s", text)
	p.call(nil, os.Remove("log"), "removing the log")
}

// dpkgMain packs, installs and removes a package with owners of all kinds.
func dpkgMain(j job) error {
	p := newPrograms(j)
	err := p.untilStopped(func() {
		p.round++
		err := errors.Join(os.MkdirAll("package/DEBIAN", 0o755), os.MkdirAll("package/opt", 0o755), os.MkdirAll("root/var/lib/dpkg/info", 0o755), os.MkdirAll("root/var/lib/dpkg/updates", 0o755),
			os.WriteFile("package/DEBIAN/control", fmt.Appendf(nil, "Package: soak\nVersion: %d\nArchitecture: all\nMaintainer: soak <soak@localhost>\nDescription: soak\n", p.round), 0o644),
			os.WriteFile("root/var/lib/dpkg/status", nil, 0o644))
		if !p.call(nil, err, "making a package") {
			return
		}
		want, err := p.plant("package/opt/tree")
		if !p.call(nil, err, "making a tree") {
			return
		}
		p.run(".", "dpkg-deb", "-Znone", "--build", "package", "soak.deb")
		p.run(".", "dpkg", "--root=root", "--force-bad-path", "--force-unsafe-io", "-i", "soak.deb")
		p.compare("root/opt/tree", want)
		p.run(".", "dpkg", "--root=root", "--force-bad-path", "--force-unsafe-io", "-P", "soak")
		if _, err := os.Lstat("root/opt/tree"); !errors.Is(err, os.ErrNotExist) {
			p.wrong("the package is purged, and its tree: %v", err)
		}
		p.run(".", "rm", "-rf", "package", "root", "soak.deb")
	})
	return errors.Join(err, p.finish())
}
