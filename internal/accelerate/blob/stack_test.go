package blob

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// TestStack computes how much of the stack the code needs at most, from what the compiler says of each
// function, and compares it with stack.h.
func TestStack(t *testing.T) {
	t.Setenv("OPTIONS", "-fcallgraph-info=su")
	graphs, err := filepath.Glob(filepath.Join(filepath.Dir(build(t)), "*.ci"))
	if err != nil || len(graphs) == 0 {
		t.Fatalf("the compiler has written no call graph: %v", err)
	}
	sizes, calls := map[string]int{"slow": 8}, map[string][]string{}
	for _, name := range graphs {
		graph := read(t, name)
		for _, m := range regexp.MustCompile(`title: "([^"]+)" label: "[^"]*\\n(\d+) bytes \((\w+)\)`).FindAllStringSubmatch(graph, -1) {
			if sizes[m[1]] = number(t, m[2]); m[3] != "static" {
				t.Errorf("%s: the size of the frame is %s", m[1], m[3])
			}
		}
		for _, m := range regexp.MustCompile(`sourcename: "([^"]+)" targetname: "([^"]+)"`).FindAllStringSubmatch(graph, -1) {
			calls[m[1]] = append(calls[m[1]], m[2])
		}
	}
	var depth func(function, without string) int
	depth = func(function, without string) int {
		size, known := sizes[function]
		if !known {
			t.Fatalf("nothing is known of the frame of %s", function)
		}
		deepest := 0
		for _, called := range calls[function] {
			if called != without {
				deepest = max(deepest, depth(called, without))
			}
		}
		return size + deepest
	}
	const alignment, registers = 15, 8 * 8 // sizes include the return address
	constants := read(t, "source/stack.h")
	for name, need := range map[string]int{
		"STACK":          depth("answer", "plain_parent") + alignment + registers,
		"STACK_OF_NAMES": depth("answer", "") + alignment,
	} {
		m := regexp.MustCompile(`#define ` + name + ` (\d+)\n`).FindStringSubmatch(constants)
		if m == nil {
			t.Fatalf("stack.h has no %s", name)
		}
		if has := number(t, m[1]); need > has || need < has/2 {
			t.Errorf("the code needs %d bytes, and %s is %d", need, name, has)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
