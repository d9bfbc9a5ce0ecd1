package main

import (
	"math/rand/v2"
	"strconv"
)

// generator makes one program out of one seed: always the same.
type generator struct {
	*rand.Rand
	without map[string]bool // features
	p       program

	actors    int   // so many there are
	variables int   // so many descriptors
	watch0    int   // that of inotify_init1, or -1. To the kernel its inode is like no other, so nothing else uses it
	sockets   []int // those of socket
	special   bool  // there may be FIFOs, sockets and devices: open(2) must not wait, and ACLs not name ids (docs/ownership.md)
	proc      bool  // there is a /proc
	exec      bool  // there is a program that can be executed, named x
}

// generate makes the program of a seed.
func generate(seed uint64, without map[string]bool) program {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0)), without: without, actors: 1, watch0: -1}
	g.p.Chroot = !without["chroot"] && g.chance(20)
	g.proc = !without["proc"] && !g.p.Chroot && g.chance(60)
	g.special = !without["special"] && g.chance(30)
	g.proc = g.proc && !g.special // a socket that is opened again by a path counts as the caller's (docs/ownership.md)
	g.exec = !without["exec"] && g.chance(25)
	if !without["inotify"] && g.chance(10) {
		g.proc = false // where the descriptor could be opened again
		g.line("inotify_init1", "IN_NONBLOCK")
		g.watch0 = 0
	}
	g.prepare()
	for range 4 + g.IntN(20) {
		g.add(g.IntN(g.actors)+1, g.pickCall())
	}
	return g.p
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func weight(c *call) int {
	if c.weight == 0 {
		return 10
	}
	return max(c.weight, 0)
}

func (g *generator) pickCall() *call {
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
				break // it would wait for a reader
			}
			if !g.without[c.feature] && !(c.feature == "exec" && !g.exec) && !(c.feature == "sockets" && !g.special) && !(c.feature == "inotify" && g.watch0 < 0) {
				return c
			}
			break
		}
	}
}

// prepare is how most programs begin, so that later calls find something: files of several owners and modes,
// and actors that are somebody else.
func (g *generator) prepare() {
	for range g.IntN(4) {
		switch g.IntN(4) {
		case 0:
			g.line("mkdirat", "AT_FDCWD", strconv.Quote(g.directoryName()), g.mode())
		case 1:
			f := g.line("openat", "AT_FDCWD", strconv.Quote(g.fileName()), "O_RDWR|O_CREAT", g.mode())
			if g.chance(50) {
				g.line("write", f, `"content"`)
			}
		case 2:
			g.line("symlinkat", g.target(), "AT_FDCWD", `"l"`)
		case 3:
			g.line("fchownat", "AT_FDCWD", strconv.Quote(g.name()), g.id(), g.id(), "0")
		}
	}
	if g.exec {
		f := g.line("openat", "AT_FDCWD", `"x"`, "O_WRONLY|O_CREAT|O_TRUNC", "0755")
		g.line("write", f, "image")
		g.line("close", f)
		if !g.without["identities"] {
			g.line("fchownat", "AT_FDCWD", `"x"`, g.id(), g.id(), "0")
		}
		g.line("fchmodat", "AT_FDCWD", `"x"`, g.pick("0755", "04755", "02755", "06755", "0711", "04711", "02745", "0700"))
		if !g.without["filecaps"] && g.chance(25) {
			g.line("setxattr", `"x"`, `"security.capability"`, g.fileCaps(), "0")
		}
	}
	if !g.without["actors"] && g.chance(60) {
		g.add(1, callNamed["fork"])
		if !g.without["identities"] && g.chance(80) {
			g.become(g.actors)
		}
	}
}

// become makes the actor a user as login does.
func (g *generator) become(actor int) {
	uid, gid := g.user(), g.user()
	if g.chance(70) {
		g.by(actor, "setgroups", g.groups())
	}
	g.by(actor, "setresgid", gid, gid, gid)
	g.by(actor, "setresuid", uid, uid, uid)
}

// line adds an operation of the first actor, and returns the word for what it gives.
func (g *generator) line(name string, words ...string) string { return g.by(1, name, words...) }

func (g *generator) by(actor int, name string, words ...string) string {
	c := callNamed[name]
	o := op{Actor: actor, Call: c, Args: words, Store: -1}
	if c.fd && g.variables < maxVariables-1 {
		o.Store = g.variables
		g.variables++
		if name == "socket" {
			g.sockets = append(g.sockets, o.Store)
		}
	}
	g.p.Ops = append(g.p.Ops, o)
	return "f" + strconv.Itoa(max(o.Store, 0))
}

// add adds a random operation.
func (g *generator) add(actor int, c *call) {
	switch c.name {
	case "fork", "thread":
		if g.actors == maxActors {
			return
		}
		g.actors++
		g.by(actor, c.name, strconv.Itoa(g.actors))
		return
	case "prctl":
		g.by(actor, c.name, g.prctl()...)
		return
	case "mknod", "mknodat":
		var words []string
		for _, p := range c.params[:len(c.params)-2] {
			words = append(words, randomWord[p.name](g))
		}
		g.by(actor, c.name, append(words, g.node()...)...)
		return
	case "setxattr", "lsetxattr", "fsetxattr":
		first := randomWord[c.params[0].name](g)
		g.by(actor, c.name, append([]string{first}, g.attributeAndValue()...)...)
		return
	}
	var words []string
	for _, p := range c.params {
		words = append(words, randomWord[p.name](g))
	}
	g.by(actor, c.name, words...)
}
