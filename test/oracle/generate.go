package main

import (
	"math/rand/v2"
	"strconv"
)

// generator creates a program from a seed. The same seed always gives the same program.
type generator struct {
	*rand.Rand
	without map[string]bool // features
	p       program

	actors   int                   // their number
	actor    int                   // that makes the current operation
	cwd      [maxActors + 1]string // of each actor, probably
	files    []file                // that probably exist (paths.go)
	opened   []file                // the file that each descriptor probably refers to
	watch0   int                   // the descriptor of inotify_init1, or -1; nothing else uses it, because its inode is special
	sockets  []int                 // the descriptors of sockets
	rooted   bool                  // an actor has called chroot(2)
	nested   bool                  // an actor may be in another user namespace
	special  bool                  // FIFOs, sockets and devices may exist: open(2) must not block
	proc     bool                  // /proc exists
	linkable bool                  // hard links may exist
	exec     bool                  // an executable program named x exists
	ipc      bool                  // System V IPC and message queues are used
	results  []result
	command  string // of the current shmctl(2), semctl(2) or msgctl(2)

	base  string // the directory at which the current path starts
	named file   // the file that the last path probably leads to
}

// generate returns the program of a seed. without names the features that it must not use.
func generate(seed uint64, without map[string]bool) program {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0)), without: without, actors: 1, actor: 1, watch0: -1}
	g.p.Chroot = !without["chroot"] && g.chance(20)
	g.proc = !without["proc"] && !g.p.Chroot && g.chance(60)
	g.special = !without["special"] && g.chance(30)
	g.proc = g.proc && !g.special // a socket reopened by a path counts as the caller's (docs/ownership.md)
	g.exec = !without["exec"] && g.chance(30)
	g.ipc = !without["ipc"] && g.chance(15)
	g.linkable = !without["hardlinks"] && (without["lower"] || g.chance(50))
	if !without["inotify"] && g.chance(10) {
		g.proc = false // the descriptor could be reopened there
		g.line("inotify_init1", "IN_NONBLOCK")
		g.watch0 = 0
	}
	if g.special && !without["sockets"] && g.chance(40) {
		g.line("socket", "AF_UNIX", g.pick("SOCK_STREAM|SOCK_NONBLOCK", "SOCK_DGRAM|SOCK_NONBLOCK"), "0") // inherited by all actors
	}
	if g.linkable && !without["lower"] {
		g.removeLower()
	}
	g.prepare()
	for range 4 + g.IntN(24) {
		g.add(g.pickActor(), g.pickCall())
	}
	return g.p
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

// pickActor rarely returns root, which is not restricted.
func (g *generator) pickActor() int {
	if g.actors == 1 || g.chance(20) {
		return 1
	}
	return 2 + g.IntN(g.actors-1)
}

func weight(c *call) int {
	if c.weight == 0 {
		return 10
	}
	return max(c.weight, 0)
}

func (g *generator) pickCall() *call {
	if g.mayUseIPC() && g.chance(60) {
		return g.pickFrom(ipcCalls)
	}
	return g.pickFrom(calls)
}

// mayUseIPC reports whether the program may use System V IPC and message queues. In a nested
// namespace, the kernel applies the user bits of an object's mode to all users.
func (g *generator) mayUseIPC() bool { return g.ipc && !g.nested }

// pickFrom returns one of the calls that the program may make.
func (g *generator) pickFrom(calls []call) *call {
	total := 0
	for i := range calls {
		total += weight(&calls[i])
	}
	for {
		n := g.IntN(total)
		for i := range calls {
			c := &calls[i]
			if n -= weight(c); n >= 0 {
				continue
			}
			if g.special && c.name == "creat" {
				break // it would block until there is a reader
			}
			if g.rooted && (c.name == "rename" || c.name == "renameat2") {
				break // from above the root directory to below it
			}
			if !g.without[c.feature] && !(c.feature == "exec" && !g.exec) && !(c.feature == "hardlinks" && !g.linkable) && !(c.feature == "sockets" && !g.special) && !(c.feature == "inotify" && g.watch0 < 0) && !(c.feature == "ipc" && !g.mayUseIPC()) {
				return c
			}
			break
		}
	}
}

// line adds an operation of the first actor and returns the word for its result.
func (g *generator) line(name string, words ...string) string { return g.by(1, name, words...) }

func (g *generator) by(actor int, name string, words ...string) string {
	c := callNamed[name]
	o := op{Actor: actor, Call: c, Args: words, Store: -1}
	g.nested = g.nested || name == "unshare" || name == "enter"
	if c.fd && len(g.opened) < maxVariables-1 {
		o.Store = len(g.opened)
		g.opened = append(g.opened, g.named)
		if name == "socket" {
			g.sockets = append(g.sockets, o.Store)
		}
	}
	if c.returns != aNumber && len(g.opened) < maxVariables-1 {
		o.Store = len(g.opened)
		g.opened = append(g.opened, file{})
	}
	if c.feature == "ipc" && o.Store >= 0 {
		g.results = append(g.results, result{o.Store, c})
	}
	g.p.Ops = append(g.p.Ops, o)
	return "f" + strconv.Itoa(max(o.Store, 0))
}

// add adds an operation with random arguments.
func (g *generator) add(actor int, c *call) {
	if maker, missing := g.makerOf(c); missing {
		c = maker
	}
	g.actor, g.base, g.named = actor, g.cwd[actor], file{}
	switch c.name {
	case "fork", "thread":
		if g.actors < maxActors {
			g.start(actor, c.name)
			if !g.without["identities"] && g.chance(60) {
				g.become(g.actors)
			}
		}
		return
	case "prctl":
		g.by(actor, c.name, g.prctl()...)
		return
	}
	var words []string
	var before file
	for i, p := range c.params {
		switch {
		case p.name == node.name:
			words = append(words, g.node()...)
		case p.name == attribute.name && i+1 < len(c.params) && c.params[i+1].name == val.name:
			words = append(words, g.attributeAndValue()...)
		default:
			if p.name == newPath.name {
				before = g.named
			}
			words = append(words, randomWord[p.name](g))
		}
		if len(words) == len(c.params) {
			break
		}
	}
	g.by(actor, c.name, words...)
	g.follow(c.name, before, words)
}

// start adds an actor, by fork or thread.
func (g *generator) start(actor int, how string) {
	g.actors++
	g.cwd[g.actors] = g.cwd[actor]
	g.by(actor, how, strconv.Itoa(g.actors))
}

// follow updates the generator's knowledge after an operation has probably succeeded.
// before is the file that the operation named first.
func (g *generator) follow(name string, before file, words []string) {
	now := g.named
	switch name {
	case "chroot":
		g.rooted = true
	case "chdir", "fchdir":
		if now.kind == directory {
			g.cwd[g.actor] = now.path
		}
	case "mkdir", "mkdirat":
		g.learn(now.path, directory)
	case "creat", "mknod", "mknodat":
		g.learn(now.path, regular)
	case "link", "linkat":
		g.learn(now.path, before.kind)
	case "symlink", "symlinkat":
		g.learn(now.path, symlink)
	case "rename", "renameat2":
		g.learn(now.path, before.kind)
		if g.chance(50) {
			g.forget(before.path)
		}
	case "unlink", "unlinkat", "rmdir":
		if g.chance(50) {
			g.forget(now.path)
		}
	}
}
