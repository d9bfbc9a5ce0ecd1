package container

import (
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestCommand(t *testing.T) {
	config := &v1.Config{Entrypoint: []string{"e"}, Cmd: []string{"c"}}
	entry, none := "x", ""
	for _, tt := range []struct {
		o    CreateOptions
		want []string
	}{
		{CreateOptions{}, []string{"e", "c"}},
		{CreateOptions{Args: []string{"a", "b"}}, []string{"e", "a", "b"}},
		{CreateOptions{Entrypoint: &entry}, []string{"x"}},
		{CreateOptions{Entrypoint: &entry, Args: []string{"a"}}, []string{"x", "a"}},
		{CreateOptions{Entrypoint: &none, Args: []string{"a"}}, []string{"a"}},
		{CreateOptions{Entrypoint: &none}, nil},
	} {
		if got := slices.Concat(command(config, &tt.o)); !slices.Equal(got, tt.want) {
			t.Errorf("command(%+v) = %q, want %q", tt.o, got, tt.want)
		}
	}
}
