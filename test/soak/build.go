package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// binaryVar is the environment variable that names subuidless for the job that builds images.
const binaryVar = "SOAK_SUBUIDLESS"

// The programs of a build, which RUN executes.
const (
	buildPlant = "plant" // makes a tree
	buildCheck = "again" // checks system calls, and that tree
)

// buildSteps is how many steps the checker makes in a build.
const buildSteps = 1000

const dockerfile = `FROM scratch
COPY soak /bin/soak
RUN ["/bin/soak", "` + buildPlant + `", "%[1]d", "/tree"]
COPY --chown=33:44 mark /tree/
RUN ["/bin/soak", "` + buildCheck + `", "%[1]d", "/tree"]
`

// buildMain builds images. It is a job outside of containers.
func buildMain(j job) error {
	p := newPrograms(j)
	binary := os.Getenv(binaryVar)
	if err := p.report(); err != nil { // a build takes a while
		return err
	}
	err := p.untilStopped(func() {
		p.round++
		err := errors.Join(os.Mkdir("context", 0o755), copyFile("context/soak", "/proc/self/exe"), os.WriteFile("context/mark", nil, 0o640),
			os.WriteFile("context/Dockerfile", fmt.Appendf(nil, dockerfile, p.rand.Uint64()), 0o644))
		if p.call(nil, err, "making a context") {
			p.run(".", binary, "build", "--no-cache", "--network=none", "-q", "-t", "soak", "context")
		}
		p.call(nil, os.RemoveAll("context"), "removing the context")
		p.run(".", binary, "prune", "--force")
	})
	return errors.Join(err, p.finish())
}

// inBuild is the main function of the programs of a build.
func inBuild(program, seed, tree string) error {
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return err
	}
	unix.Umask(0) // as in checkMain
	p := newPrograms(job{name: "build-1", seed: n})
	if program == buildPlant {
		_, err := p.plant(tree)
		return err
	}
	mark, err := lstat(filepath.Join(tree, "mark"), 0)
	if err != nil {
		return err
	}
	if mark.uid != 33 || mark.gid != 44 || mark.mode&0o777 != 0o640 {
		p.wrong("the copied file: %+v", mark)
	}
	// The same tree, without the file that was copied, and made in one layer.
	p.call(nil, os.Remove(filepath.Join(tree, "mark")), "unlink")
	want, err := p.plant("/same")
	if err != nil {
		return err
	}
	p.compare(tree, want)
	if err := errors.Join(os.Mkdir("/check", 0o755), os.Chdir("/check")); err != nil {
		return err
	}
	c := &checker{reporter: p.reporter, rand: rand.New(rand.NewPCG(n, 1)), names: map[string]*inode{}}
	if err := c.prepare(); err != nil {
		return err
	}
	for range buildSteps {
		c.step()
	}
	c.task.end(c)
	c.verifyAll()
	if c.done.Wrong+c.done.Lost > 0 {
		return errors.New(c.done.Says)
	}
	return nil
}
