package launch

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/rootless-containers/subuidless/internal/statistics"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// summary writes what the supervisor of a container has counted. The zero value writes nothing.
type summary struct {
	counters *statistics.Reader
	since    statistics.Snapshot // what had been counted before
	file     string              // to which it writes JSON instead of a table; empty: none
}

// newSummary returns the summary of the container of a supervisor that has just begun to serve it.
func newSummary(sup *supervisor.Prepared) (summary, error) {
	r, err := sup.Counters()
	if err != nil {
		return summary{}, fmt.Errorf("--trace-summary: %w", err)
	}
	return summary{counters: r}, nil
}

// newSummaryOf returns the summary of a session from now on.
func newSummaryOf(session *supervisor.Entry) (summary, error) {
	r, err := statistics.Open(session.Keeper)
	if err != nil {
		return summary{}, fmt.Errorf("--trace-summary: %w", err)
	}
	return summary{counters: r, since: r.Read()}, nil
}

// print writes the summary to w, or to the file, when the command has ended.
func (s summary) print(w io.Writer) error {
	if s.counters == nil {
		return nil
	}
	defer s.counters.Close()
	counts := s.counters.Read().Since(s.since).ByName(supervisor.CallName)
	if s.file == "" {
		return statistics.PrintSummary(w, counts)
	}
	b, err := json.Marshal(counts)
	if err != nil {
		return err
	}
	return os.WriteFile(s.file, b, 0o600)
}
