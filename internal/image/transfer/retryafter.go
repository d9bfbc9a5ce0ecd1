package transfer

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// patience is how long a request waits in total because a registry asks for it.
const patience = time.Minute

// second is the unit of the header Retry-After. It is a variable for tests.
var second = time.Second

// patient is a transport that tries a request again when the registry says to, by the header
// Retry-After of an answer 429 or 503: RFC 9110, section 10.2.3.
type patient struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper. The error is a *waitError if the registry asks for more
// than patience.
func (t patient) RoundTrip(request *http.Request) (*http.Response, error) {
	for left := patience; ; {
		response, err := t.RoundTripper.RoundTrip(request)
		if err != nil {
			return nil, err
		}
		wait, asked := retryAfter(response)
		hasBody := request.Body != nil && request.Body != http.NoBody
		if !asked || hasBody && request.GetBody == nil {
			return response, nil
		}
		if err := response.Body.Close(); err != nil {
			return nil, err
		}
		if wait = max(wait, 10*time.Millisecond); wait > left {
			return nil, &waitError{status: response.StatusCode, wait: wait}
		}
		left -= wait
		again := request.Clone(request.Context())
		if hasBody {
			if again.Body, err = request.GetBody(); err != nil {
				return nil, err
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-request.Context().Done():
			timer.Stop()
			return nil, request.Context().Err()
		case <-timer.C:
		}
		request = again
	}
}

// retryAfter returns how long a registry asks to wait: a number of seconds, or until a date.
func retryAfter(response *http.Response) (wait time.Duration, asked bool) {
	if response.StatusCode != http.StatusTooManyRequests && response.StatusCode != http.StatusServiceUnavailable {
		return 0, false
	}
	text := response.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * second, true
	}
	if date, err := http.ParseTime(text); err == nil {
		return time.Until(date), true
	}
	return 0, false
}

// waitError means that a registry asks to wait for too long.
type waitError struct {
	status int
	wait   time.Duration
}

func (e *waitError) Error() string {
	return fmt.Sprintf("it answers %d %s, and asks to wait for %v", e.status, http.StatusText(e.status), e.wait.Round(time.Second))
}
