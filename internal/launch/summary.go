package launch

import (
	"fmt"
	"io"

	"github.com/rootless-containers/subuidless/internal/statistics"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// summary writes what the supervisor of a container has counted. The zero value writes nothing.
type summary struct{ counters *statistics.Reader }

// newSummary returns the summary of the container of a supervisor that has just begun to serve it.
func newSummary(sup *supervisor.Prepared) (summary, error) {
	r, err := sup.Counters()
	if err != nil {
		return summary{}, fmt.Errorf("--trace-summary: %w", err)
	}
	return summary{r}, nil
}

// print writes the summary to w, when the command has ended.
func (s summary) print(w io.Writer) error {
	if s.counters == nil {
		return nil
	}
	defer s.counters.Close()
	return statistics.PrintSummary(w, s.counters.Read().ByName(supervisor.CallName))
}
