package main

import (
	"slices"
	"strconv"
	"strings"
)

// result is a variable that holds the result of one of ipcCalls.
type result struct {
	variable int
	of       *call
}

// isDescriptor reports whether the variable does not hold an object or an address.
func (g *generator) isDescriptor(variable int) bool {
	return !slices.ContainsFunc(g.results, func(r result) bool { return r.variable == variable && r.of.returns != aNumber })
}

// makers maps the names of params to the calls that return what they stand for.
var makers = map[string]string{"shm": "shmget", "sem": "semget", "msg": "msgget", "attachment": "shmat", "queue": "mq_open"}

// makerOf returns the call to make instead of c if there is no object yet that it could use.
func (g *generator) makerOf(c *call) (maker *call, missing bool) {
	if len(c.params) == 0 {
		return nil, false
	}
	name := makers[c.params[0].name]
	missing = name != "" && !slices.ContainsFunc(g.results, func(r result) bool { return r.of.name == name })
	return callNamed[name], missing
}

// resultOf returns a variable with a result of the call, mostly.
func (g *generator) resultOf(call string) string {
	var of []int
	for _, r := range g.results {
		if r.of.name == call {
			of = append(of, r.variable)
		}
	}
	if len(of) == 0 || g.chance(3) {
		return g.pick("-1", "77")
	}
	return "f" + strconv.Itoa(of[g.IntN(len(of))])
}

// objects creates System V IPC objects and message queues of several owners.
func (g *generator) objects() {
	for range 1 + g.IntN(3) {
		at := "[" + g.owner() + "," + g.owner() + "," + g.ipcMode() + "]"
		flags := "IPC_CREAT|" + g.ipcMode()
		switch g.IntN(4) {
		case 0:
			f := g.line("shmget", g.ipcKey(), "4096", flags)
			g.line("shmctl", f, "IPC_SET", at)
		case 1:
			f := g.line("semget", g.ipcKey(), "3", flags)
			g.line("semctl", f, "0", "IPC_SET", at)
		case 2:
			f := g.line("msgget", g.ipcKey(), flags)
			g.line("msgctl", f, "IPC_SET", at)
		case 3:
			g.named = file{}
			f := g.line("mq_open", strconv.Quote(g.pick("q", "q", "r")), "O_RDWR|O_CREAT", g.fileMode(), "[0,3,70]")
			g.line("fchown", f, g.owner(), g.owner())
		}
	}
}

func (g *generator) ipcKey() string { return g.pick("0x51", "0x51", "0x52", "0") }

func (g *generator) ipcMode() string {
	return g.pick("0600", "0600", "0640", "0644", "0660", "0666", "0400", "0200", "0060", "0006", "0000", "0777")
}

func (g *generator) ipcFlags() string {
	flags := g.pick(g.ipcMode(), g.ipcMode(), "0")
	if g.chance(60) {
		flags = "IPC_CREAT|" + flags
	}
	if g.chance(15) {
		flags = "IPC_EXCL|" + flags
	}
	return flags
}

func (g *generator) mqFlags() string {
	flags := []string{g.pick("O_RDONLY", "O_WRONLY", "O_RDWR", "O_RDWR")}
	for flag, percent := range [...]int{60, 15, 20, 10, 2} {
		if g.chance(percent) {
			flags = append(flags, [...]string{"O_CREAT", "O_EXCL", "O_NONBLOCK", "O_CLOEXEC", "O_WRONLY|O_RDWR"}[flag])
		}
	}
	return strings.Join(flags, "|")
}

// ipcStatus returns the argument of a command. Of most commands, it is a buffer.
func (g *generator) ipcStatus() string {
	if g.command == "IPC_SET" {
		return g.orBad("[" + g.id() + "," + g.id() + "," + g.ipcMode() + "]")
	}
	return g.orBad("&")
}

func (g *generator) shmCommand() string {
	if g.chance(15) {
		g.command = g.pick("SHM_LOCK", "SHM_UNLOCK")
		return g.command
	}
	return g.ipcCommand()
}

// indexCommand returns a function that returns one of the commands, which take an index.
func indexCommand(commands ...string) func(*generator) string {
	return func(g *generator) string {
		g.command = g.pick(commands...)
		return g.command
	}
}

func (g *generator) ipcCommand() string {
	g.command = g.pick("IPC_STAT", "IPC_STAT", "IPC_STAT", "IPC_STAT", "IPC_SET", "IPC_SET", "IPC_SET", "IPC_RMID")
	return g.command
}

func init() {
	for name, word := range map[string]func(*generator) string{
		"ipcKey":     (*generator).ipcKey,
		"ipcFlags":   (*generator).ipcFlags,
		"ipcCommand": (*generator).ipcCommand,
		"ipcStatus":  (*generator).ipcStatus,
		"ipcIndex":   func(g *generator) string { return g.pick("0", "0", "1", "2", "7", "-1") },
		"shmCommand": (*generator).shmCommand,

		"shmIndexCommand": indexCommand("SHM_STAT", "SHM_STAT", "SHM_STAT_ANY"),
		"semIndexCommand": indexCommand("SEM_STAT", "SEM_STAT", "SEM_STAT_ANY"),
		"msgIndexCommand": indexCommand("MSG_STAT", "MSG_STAT", "MSG_STAT_ANY"),
		"shmSize":         func(g *generator) string { return g.pick("4096", "4096", "100", "8192", "0", "-1") },
		"shmAddress":      func(g *generator) string { return g.pick("0", "0", "0", "0", "0x1001") },
		"shmFlags": func(g *generator) string {
			return g.pick("0", "0", "SHM_RDONLY", "SHM_RDONLY", "SHM_RDONLY|SHM_EXEC", "SHM_EXEC", "SHM_REMAP", "SHM_RND")
		},
		"semCount":      func(g *generator) string { return g.pick("3", "3", "1", "0", "5", "-1") },
		"semNumber":     func(g *generator) string { return g.pick("0", "0", "1", "2", "7", "-1") },
		"semCommand":    func(g *generator) string { return g.pick("GETVAL", "GETVAL", "SETVAL", "SETVAL", "GETNCNT", "GETZCNT") },
		"semAllCommand": func(g *generator) string { return g.pick("GETALL", "SETALL") },
		"semValue":      func(g *generator) string { return g.pick("0", "1", "1", "5", "40000", "-1") },
		"semOperations": func(g *generator) string {
			return g.orBad(g.pick("[0:1]", "[0:1]", "[0:-1]", "[0:0]", "[1:1,0:-1]", "[0:0,2:1]", "[7:1]", "[7:0]", "[0:1u]", "[0:2u,1:1]", "[]"))
		},
		"semTimeout": func(g *generator) string {
			return g.orBad(g.pick("NULL", "[1,0]", "[0,0]", "[0,1000000000]", "[-1,0]"))
		},
		"message": func(g *generator) string {
			return g.orBad(g.pick(`[1,"text"]`, `[1,"a"]`, `[2,""]`, `[0,"a"]`, `[-1,"a"]`))
		},
		"messageOut":      func(g *generator) string { return g.orBad(g.pick("&64", "&64", "&64", "&2", "&0", "&-1")) },
		"msgType":         func(g *generator) string { return g.pick("0", "0", "1", "2", "-2") },
		"msgSendFlags":    func(*generator) string { return "0" },
		"msgReceiveFlags": func(g *generator) string { return g.pick("0", "0", "MSG_NOERROR", "MSG_EXCEPT", "MSG_COPY") },
		"mqName": func(g *generator) string {
			return g.orBad(g.pick(`"q"`, `"q"`, `"q"`, `"r"`, `"r"`, `"a/b"`, `"."`, `""`, "long(255)", "long(256)"))
		},
		"mqFlags": (*generator).mqFlags,
		"mqAttributes": func(g *generator) string {
			return g.orBad(g.pick("[0,3,70]", "[0,3,70]", "[O_NONBLOCK,1,10]", "[0,0,70]", "[0,3,-1]"))
		},
	} {
		randomWord[name] = word
	}
	for name, maker := range makers {
		randomWord[name] = func(g *generator) string { return g.resultOf(maker) }
	}
}
