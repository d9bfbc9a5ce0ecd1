package sidecar

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Args[0] == HelperName {
		os.Exit(HelperMain())
	}
	os.Exit(m.Run())
}
