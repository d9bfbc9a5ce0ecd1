package pages

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPages parses all pages: each marker says why, and stands before code.
func TestPages(t *testing.T) {
	found, marked := 0, 0
	check := func(name string) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		blocks, err := Parse(string(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, b := range blocks {
			found++
			if b.NotRun != "" {
				marked++
			}
		}
	}
	check("../../README.md")
	err := filepath.WalkDir("../../docs", func(name string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(name, ".md") {
			check(name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 60 || marked < 10 {
		t.Errorf("the pages have %d blocks, of which %d are not run", found, marked)
	}
}

func TestParse(t *testing.T) {
	page := "text\n\n    one\n\n    two\n\n<!-- not run: it\n takes long -->\n\n    $ three   # why\n    3\n\n" +
		"```mermaid\na --> b\n```\n\n* item\n\n      four\n\n```yaml\nfive:\n```\n"
	blocks, err := Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	want := []Block{
		{Line: 3, Lines: []string{"one", "", "two"}},
		{Line: 10, NotRun: "it takes long", Lines: []string{"$ three   # why", "3"}},
		{Line: 19, Lines: []string{"  four"}},
		{Line: 22, Language: "yaml", Lines: []string{"five:"}},
	}
	if len(blocks) != len(want) {
		t.Fatalf("the blocks are %+v", blocks)
	}
	for i, b := range blocks {
		if b.Line != want[i].Line || b.NotRun != want[i].NotRun || b.Language != want[i].Language || strings.Join(b.Lines, "\n") != strings.Join(want[i].Lines, "\n") {
			t.Errorf("%+v, want %+v", b, want[i])
		}
	}
	if commands, printed := blocks[1].Transcript(); len(commands) != 1 || commands[0] != "three" || printed != "3\n" {
		t.Errorf("the transcript has %q, and prints %q", commands, printed)
	}
	for _, wrong := range []string{
		"<!-- not run: -->\n\n    x\n", "<!-- not run: why -->\n\ntext\n", "<!-- not run: why -->\n",
		"<!-- not run: why -->\n<!-- not run: why -->\n\n    x\n", "```yaml\nx\n",
	} {
		if blocks, err := Parse(wrong); err == nil {
			t.Errorf("%q: %+v", wrong, blocks)
		}
	}
}
