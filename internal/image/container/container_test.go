package container

import (
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

func TestCommand(t *testing.T) {
	config := &v1.Config{Entrypoint: []string{"e"}, Cmd: []string{"c"}}
	entry, none := "x", ""
	for _, tt := range []struct {
		o    RunOptions
		want []string
	}{
		{RunOptions{}, []string{"e", "c"}},
		{RunOptions{Args: []string{"a", "b"}}, []string{"e", "a", "b"}},
		{RunOptions{Entrypoint: &entry}, []string{"x"}},
		{RunOptions{Entrypoint: &entry, Args: []string{"a"}}, []string{"x", "a"}},
		{RunOptions{Entrypoint: &none, Args: []string{"a"}}, []string{"a"}},
		{RunOptions{Entrypoint: &none}, nil},
	} {
		if got := command(config, &tt.o); !slices.Equal(got, tt.want) {
			t.Errorf("command(%+v) = %q, want %q", tt.o, got, tt.want)
		}
	}
}

func TestParseSignal(t *testing.T) {
	for text, want := range map[string]unix.Signal{
		"SIGTERM": unix.SIGTERM, "TERM": unix.SIGTERM, "quit": unix.SIGQUIT, "15": 15, "SIGRTMIN+3": 37, "RTMAX-1": 63, "SIGRTMIN": 34,
	} {
		if got, err := ParseSignal(text); err != nil || got != want {
			t.Errorf("ParseSignal(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "65", "SIGNOTHING", "SIGRTMIN+31", "-1"} {
		if got, err := ParseSignal(text); err == nil {
			t.Errorf("ParseSignal(%q) = %d, want an error", text, got)
		}
	}
}
