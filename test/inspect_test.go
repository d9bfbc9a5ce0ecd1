package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// inspectDiffers is the file that lists which members of the documents of podman inspect may differ
// from real root's.
var inspectDiffers = filepath.Join("testdata", "engines", "inspect.differs")

// runValues are parts of values that every run has of its own, and what replaces them: ids, times,
// and the directories of storage.
var runValues = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`/[^":]*/(overlay|overlay-containers|volumes)/`), "STORAGE/$1/"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(Z|[+-]\d\d:\d\d)`), "TIME"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "ID"},
	{regexp.MustCompile(`\b[0-9a-f]{12}\b`), "ID"},
}

// describeInspect returns a line for each value in a document of podman inspect, except for the
// members that the text differs lists. Lists of words are sorted: podman keeps some in a map.
func describeInspect(document, differs []byte) (string, error) {
	var v any
	if err := json.Unmarshal(document, &v); err != nil {
		return "", fmt.Errorf("%w: %s", err, document)
	}
	var lines []string
	addValues("", v, &lines)
	lines = slices.DeleteFunc(lines, func(line string) bool {
		member, _, _ := strings.Cut(line, " ")
		for pattern := range bytes.Lines(differs) {
			fields := strings.Fields(string(pattern))
			if len(fields) == 0 || fields[0] == "#" {
				continue
			}
			if matched, err := path.Match(fields[0], member); matched || err != nil {
				return true
			}
		}
		return false
	})
	slices.Sort(lines)
	text := strings.Join(lines, "\n") + "\n"
	for _, r := range runValues {
		text = r.pattern.ReplaceAllString(text, r.by)
	}
	return text, nil
}

// addValues adds a line for each value in v, whose name is that of the member.
func addValues(name string, v any, lines *[]string) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			addValues(strings.TrimPrefix(name+"/"+key, "/"), v[key], lines)
		}
	case []any:
		for _, element := range v {
			addValues(name, element, lines)
		}
		*lines = append(*lines, fmt.Sprintf("%s has %d", name, len(v)))
	default:
		*lines = append(*lines, fmt.Sprintf("%s %q", name, fmt.Sprint(v)))
	}
}

// describeInspects describes the documents that the script of TestLife has written to dir.
func describeInspects(work, dir string) (string, error) {
	differs, err := os.ReadFile(filepath.Join(work, inspectDiffers))
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, what := range []string{"container", "image"} {
		document, err := os.ReadFile(filepath.Join(dir, what+".json"))
		if err != nil {
			return "", err
		}
		text, err := describeInspect(document, differs)
		if err != nil {
			return "", fmt.Errorf("podman inspect of the %s: %w", what, err)
		}
		fmt.Fprintf(&all, "# inspect %s\n%s", what, text)
	}
	return all.String(), nil
}

func TestDescribeInspect(t *testing.T) {
	const document = `[{"Id": "0123456789ab", "Dir": "/home/a/overlay/l:/b/overlay/m", "Env": ["B=2", "A=1"], "State": {"Pid": 7, "Running": true},
		"Created": "2026-01-02T03:04:05.678Z", "Nothing": null, "Empty": []}]`
	const want = ` has 1
Created "TIME"
Dir "STORAGE/overlay/l:STORAGE/overlay/m"
Empty has 0
Env "A=1"
Env "B=2"
Env has 2
Id "ID"
Nothing "<nil>"
State/Running "true"
`
	got, err := describeInspect([]byte(document), []byte("# comment\n\nState/P*  why\n"))
	if err != nil || got != want {
		t.Errorf("%v, %s", err, cmp.Diff(want, got))
	}
}
