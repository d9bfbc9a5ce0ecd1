package pages

import (
	"slices"
	"strings"
	"testing"
)

func TestMentions(t *testing.T) {
	page := "Use `subuidless run\n--user UID` or `A=1 subuidless exec -- tar`, not `subuidless`.\n\n" +
		"| `subuidless run --user NAME\\|UID` | x |\n\n" +
		"    cd x && subuidless ps -a | grep x  # not subuidless rm -f\n\n" +
		"<!-- not run: why -->\n\n    $ (subuidless top)\n    subuidless is what this prints\n"
	mentions, err := Mentions(page)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range mentions {
		got = append(got, strings.Join(m.Args, " "))
	}
	want := []string{"ps -a", "top", "run --user UID", "exec -- tar", "run --user NAME|UID"}
	if !slices.Equal(got, want) {
		t.Errorf("the page has %q, want %q", got, want)
	}
	if mentions[0].Line != 6 || mentions[2].Line != 1 {
		t.Errorf("the lines are %d and %d", mentions[0].Line, mentions[2].Line)
	}
}

func TestMentionsInProse(t *testing.T) {
	text := "A link to subuidless that is a link (see subuidless\nrun --help).\nSay \"subuidless ps\", with subuidless itself."
	mentions := MentionsInProse(text)
	if len(mentions) != 2 || strings.Join(mentions[0].Args, " ") != "run --help" || mentions[0].Line != 1 || strings.Join(mentions[1].Args, " ") != "ps" {
		t.Errorf("the text has %+v", mentions)
	}
}
