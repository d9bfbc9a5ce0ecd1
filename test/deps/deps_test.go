// Package deps tests which package may depend on which, and says why.
package deps

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/rootless-containers/subuidless/"

// links lists what a package must not link, neither by an import of its own nor by those
// of the packages that it imports.
var links = []struct {
	pkg   string
	never []string
	why   string
}{
	{
		pkg:   "internal/handlers",
		never: []string{"internal/agent", "internal/agentproto", "internal/bundle", "internal/launch", "internal/supervisor"},
		why:   "a handler answers one call of one task; it must work the same however the container was started",
	},
	{
		pkg:   "internal/supervisor",
		never: []string{"net/http", "crypto/tls", "encoding/xml"},
		why:   "the worker is what a hostile container talks to, and is started again whenever it dies: it links no network protocol and nothing that costs memory or start-up time",
	},
	{
		pkg:   "internal/supervisor",
		never: []string{"internal/agent", "internal/agentproto", "internal/bundle", "internal/launch"},
		why:   "a supervisor gets a listener and knows neither who started the container nor any OCI file",
	},
	{
		pkg:   "internal/launch",
		never: []string{"net/http", "internal/image/store", "internal/image/transfer"},
		why:   "it runs a root file system, wherever that is from",
	},
	{
		pkg:   "internal/image/build/dockerfile",
		never: []string{"net/http", "internal/image/store", "internal/image/layer", "internal/launch"},
		why:   "what an instruction means depends on the Dockerfile and the configuration of its base only, and is tested without a kernel",
	},
	{
		pkg:   "internal/image/build/files",
		never: []string{"net/http", "internal/supervisor"},
		why:   "it parses what strangers have made, as root of a user namespace: the less it links, the better",
	},
	{
		pkg:   "internal/image/unpack",
		never: []string{"net/http", "internal/supervisor"},
		why:   "it parses what strangers have made, as root of a user namespace: the less it links, the better",
	},
	{
		pkg:   "cmd/subuidless",
		never: []string{"net/http", "github.com/google/go-containerregistry", "internal/image/store", "internal/image/transfer"},
		why:   "each process of a container is the main program: what only images need is linked into the image program, because it would make each start 20 % slower",
	},
	{
		pkg:   "cmd/subuidless-image",
		never: []string{"internal/agent", "internal/engine", "internal/session"},
		why:   "it prepares containers, and the main program runs them",
	},
	{
		pkg:   "internal/program",
		never: []string{"internal/launch", "internal/image/layer"},
		why:   "it knows how a program executes the other one, and not for what",
	},
	{
		pkg:   "cmd/subuidless",
		never: []string{"testing", "internal/credtest", "internal/workertest"},
		why:   "test support does not belong in the binary",
	},
}

// imports lists the only packages of this module that a package may import.
var imports = []struct {
	pkgs []string
	only []string
	why  string
}{
	{
		pkgs: []string{"internal/acl", "internal/cred", "internal/idmap", "internal/perm"},
		only: []string{"internal/acl", "internal/cred", "internal/idmap", "internal/perm"},
		why:  "they state the man pages' rules as pure functions, which tests compare with the kernel sentence by sentence",
	},
	{
		pkgs: []string{"internal/sys"},
		why:  "it wraps system calls and nothing else, so that every package can use it",
	},
	{
		pkgs: []string{"internal/target"},
		only: []string{"internal/sys"},
		why:  "it reads a task's memory, paths and descriptors as the kernel shows them, without what subuidless emulates",
	},
	{
		pkgs: []string{"internal/svipc"},
		only: []string{"internal/sys"},
		why:  "it stores and shows owners; who may change them is in package perm",
	},
	{
		pkgs: []string{"internal/fdpass", "internal/unotify", "internal/userns"},
		why:  "each covers one interface of the kernel, whose man page is all that a reader needs to know",
	},
}

// rawSystemCalls lists the only packages that may make system calls without the wrappers
// of golang.org/x/sys/unix.
var rawSystemCalls = struct {
	pkgs []string
	why  string
}{
	pkgs: []string{"internal/sys", "internal/unotify", "internal/userns", "internal/doctor", "internal/credtest"},
	why:  "their use of unsafe pointers is reviewed in one place; other packages call internal/sys where a wrapper would allocate",
}

// pkg is what go list prints of a package.
type pkg struct {
	ImportPath, Dir string
	Imports, Deps   []string
}

// packages has the packages of the module by their names in it.
var packages = sync.OnceValues(func() (map[string]pkg, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,Deps", "./cmd/...", "./internal/...")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		if exit := new(exec.ExitError); errors.As(err, &exit) {
			err = errors.New(string(exit.Stderr))
		}
		return nil, err
	}
	all := map[string]pkg{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all[strings.TrimPrefix(p.ImportPath, module)] = p
	}
})

// find returns the package of this name.
func find(t *testing.T, name string) pkg {
	t.Helper()
	all, err := packages()
	if err != nil {
		t.Fatal("go list: ", err)
	}
	p, found := all[name]
	if !found {
		t.Fatalf("there is no package %s: if it has another name now, change the rule", name)
	}
	return p
}

func TestLinks(t *testing.T) {
	for _, rule := range links {
		deps := find(t, rule.pkg).Deps
		for _, never := range rule.never {
			if strings.HasPrefix(never, "internal/") {
				never = find(t, never).ImportPath
			}
			if slices.ContainsFunc(deps, func(d string) bool { return d == never || strings.HasPrefix(d, never+"/") }) {
				t.Errorf("%s links %s: %s (go mod why and go list -deps show how)", rule.pkg, never, rule.why)
			}
		}
	}
}

func TestImports(t *testing.T) {
	for _, rule := range imports {
		for _, name := range rule.pkgs {
			for _, path := range find(t, name).Imports {
				imported, ours := strings.CutPrefix(path, module)
				if ours && !slices.Contains(rule.only, imported) {
					t.Errorf("%s imports %s, and may import only %q of this module: %s", name, imported, rule.only, rule.why)
				}
			}
		}
	}
}

// rawCall matches the functions of packages syscall and unix that take the number of a
// system call.
var rawCall = regexp.MustCompile(`^(Raw)?(Vfork)?Syscall(NoError|\d+)?$`)

func TestRawSystemCalls(t *testing.T) {
	all, err := packages()
	if err != nil {
		t.Fatal("go list: ", err)
	}
	for _, name := range rawSystemCalls.pkgs {
		find(t, name)
	}
	for name, p := range all {
		if slices.Contains(rawSystemCalls.pkgs, name) {
			continue
		}
		// Not go list's files, which are those of one architecture.
		files, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, where := range rawCalls(t, file) {
				t.Errorf("%s: only %q may make raw system calls: %s", where, rawSystemCalls.pkgs, rawSystemCalls.why)
			}
		}
	}
}

// rawCalls returns the positions of raw system calls in a file.
func rawCalls(t *testing.T, file string) []string {
	t.Helper()
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(f, func(n ast.Node) bool {
		call, isSelector := n.(*ast.SelectorExpr)
		if !isSelector || !rawCall.MatchString(call.Sel.Name) {
			return true
		}
		if from, isName := call.X.(*ast.Ident); isName && (from.Name == "syscall" || from.Name == "unix") {
			found = append(found, files.Position(call.Pos()).String())
		}
		return true
	})
	return found
}

// The search finds what it looks for.
func TestRawCallsAreFound(t *testing.T) {
	if calls := rawCalls(t, filepath.Join(find(t, "internal/sys").Dir, "file.go")); len(calls) == 0 {
		t.Error("internal/sys/file.go makes no raw system call")
	}
}
