package pages

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// link matches the target of a link that is no URL.
	link = regexp.MustCompile(`(?:\]\(|^\[[^\]]+\]: )([^):\s]+)(?:\)|$)`)
	// heading matches a heading, to which a link can lead.
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	// source matches a file or directory of the repository. NAME and * stand for any name.
	source = regexp.MustCompile("`((?:bench|cmd|docs|internal|release|test)/[\\w./*-]+)")
	// target matches a command of make. Other projects have only options and install.
	target = regexp.MustCompile("`make ([a-z][a-z0-9-]*)")
	// testName matches the name of a test.
	testName = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z][a-z]\w*`)
)

// TestReferences checks that what pages refer to exists: other pages and their headings, files,
// targets of make, and tests.
func TestReferences(t *testing.T) {
	const top = "../.."
	makefile, err := os.ReadFile(filepath.Join(top, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	tests := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err = filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
		isTest := strings.HasSuffix(name, "_test.go")
		page := strings.HasSuffix(name, ".md") && !strings.HasPrefix(name, top+"/test/") // with parts of pages
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == ".git"):
			return fs.SkipDir
		case !page && !isTest:
			return nil
		}
		text, err := os.ReadFile(name)
		if page {
			texts[name] = string(text)
		}
		for _, found := range function.FindAllStringSubmatch(string(text), -1) {
			tests[found[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for page, text := range texts {
		for i, line := range strings.Split(text, "\n") {
			for _, found := range link.FindAllStringSubmatch(line, -1) {
				file, anchor, _ := strings.Cut(found[1], "#")
				to := page
				if file != "" {
					to = filepath.Join(filepath.Dir(page), file)
				}
				if _, err := os.Stat(to); err != nil {
					t.Errorf("%s:%d: %v", page, i+1, err)
				} else if anchor != "" && !hasAnchor(texts[to], anchor) {
					t.Errorf("%s:%d: %s has no heading #%s", page, i+1, to, anchor)
				}
			}
			for _, found := range source.FindAllStringSubmatch(line, -1) {
				pattern := strings.ReplaceAll(found[1], "NAME", "*")
				if files, err := filepath.Glob(filepath.Join(top, pattern)); err != nil || len(files) == 0 {
					t.Errorf("%s:%d: there is no %s", page, i+1, found[1])
				}
			}
			for _, found := range target.FindAllStringSubmatch(line, -1) {
				if !strings.Contains("\n"+string(makefile), "\n"+found[1]+":") {
					t.Errorf("%s:%d: make has no target %s", page, i+1, found[1])
				}
			}
			for _, name := range testName.FindAllString(line, -1) {
				if !tests[name] {
					t.Errorf("%s:%d: there is no %s", page, i+1, name)
				}
			}
		}
	}
}

// hasAnchor reports whether a page has the heading to which a link ends with #anchor, as GitHub
// makes it of the heading's text.
func hasAnchor(page, anchor string) bool {
	for _, found := range heading.FindAllStringSubmatch(page, -1) {
		made := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z':
				return r
			}
			return -1
		}, strings.ToLower(found[1]))
		if made == anchor {
			return true
		}
	}
	return false
}
