package deps

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/rootless-containers/subuidless/internal/filter"
)

// TestSupervisorMakesNoDeniedCalls looks for the calls that the filter of keeper and worker denies
// in all packages of this module that these processes link.
func TestSupervisorMakesNoDeniedCalls(t *testing.T) {
	names := []string{"internal/supervisor"}
	for _, path := range find(t, "internal/supervisor").Deps {
		if name, ours := strings.CutPrefix(path, module); ours {
			names = append(names, name)
		}
	}
	for _, name := range names {
		files, err := filepath.Glob(filepath.Join(find(t, name).Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for call, where := range madeCalls(t, file) {
				for _, d := range filter.Denials {
					for _, denied := range d.Calls {
						if makes(call, denied) {
							t.Errorf("%s: %s: keeper and worker must not call %s: %s", where, call, denied, d.Why)
						}
					}
				}
			}
		}
	}
}

// madeCalls returns the selectors of packages syscall and unix in a file, with the position of one
// of each.
func madeCalls(t *testing.T, file string) map[string]string {
	t.Helper()
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		if s, isSelector := n.(*ast.SelectorExpr); isSelector {
			if from, isName := s.X.(*ast.Ident); isName && (from.Name == "syscall" || from.Name == "unix") {
				found[s.Sel.Name] = files.Position(s.Pos()).String()
			}
		}
		return true
	})
	return found
}

// makes reports whether the identifier of package syscall or unix stands for the system call: it is
// its number, or a function whose name begins with that of the call, as KeyctlInt.
func makes(identifier, call string) bool {
	if nr, isNumber := strings.CutPrefix(identifier, "SYS_"); isNumber {
		return strings.ToLower(nr) == call
	}
	if !strings.ContainsFunc(identifier, unicode.IsLower) {
		return false // a constant
	}
	return strings.HasPrefix(strings.ToLower(identifier), strings.ReplaceAll(call, "_", ""))
}

// The search finds what it looks for.
func TestMadeCallsAreFound(t *testing.T) {
	calls := madeCalls(t, filepath.Join(find(t, "internal/launch").Dir, "mount.go"))
	for _, want := range []string{"mount", "mount_setattr"} {
		found := false
		for call := range calls {
			found = found || makes(call, want)
		}
		if !found {
			t.Errorf("internal/launch/mount.go does not call %s", want)
		}
	}
}
