package deps

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// packageRow matches a row of the table of packages: name, what it does, imports.
	packageRow = regexp.MustCompile("(?m)^\\| `([a-z/]+)` \\|.*\\|([^|\n]*)\\|$")
	// packageName matches a package in a row. A final * stands for all below it.
	packageName = regexp.MustCompile("`([a-z/]+)(\\*?)`")
)

// notInTable are packages that no program links.
var notInTable = []string{"credtest", "workertest", "program/join"}

// TestArchitecture compares the table of packages in docs/internals/architecture.md with the packages:
// it has all of them, with their imports, and none that imports one of a later row.
func TestArchitecture(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "internals", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := packages()
	if err != nil {
		t.Fatal("go list: ", err)
	}
	var rows []string
	for _, row := range packageRow.FindAllStringSubmatch(string(page), -1) {
		name := row[1]
		if _, found := all["internal/"+name]; !found {
			t.Errorf("the table has a package %s, which does not exist", name)
			continue
		}
		rows = append(rows, name)
		var says, has []string
		for _, found := range packageName.FindAllStringSubmatch(row[2], -1) {
			if found[2] == "" {
				says = append(says, found[1])
				continue
			}
			for other := range all {
				if other, below := strings.CutPrefix(other, "internal/"); below && strings.HasPrefix(other, found[1]) {
					says = append(says, other)
				}
			}
		}
		for _, path := range all["internal/"+name].Imports {
			if imported, ours := strings.CutPrefix(path, module+"internal/"); ours {
				has = append(has, imported)
				if !slices.Contains(rows, imported) {
					t.Errorf("%s imports %s, which is not in an earlier row of the table", name, imported)
				}
			}
		}
		slices.Sort(says)
		slices.Sort(has)
		if !slices.Equal(says, has) {
			t.Errorf("the table says that %s imports %q, but it imports %q", name, says, has)
		}
	}
	for name := range all {
		if name, ours := strings.CutPrefix(name, "internal/"); ours && !slices.Contains(rows, name) && !slices.Contains(notInTable, name) {
			t.Errorf("the table lacks the package %s", name)
		}
	}
}
