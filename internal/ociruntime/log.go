package ociruntime

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// report writes a message of the given level, "error" or "warning", to the log file of the
// engine, in the format that the runtime uses there, and to standard error.
func (r *runtime) report(level, message string) {
	fmt.Fprintf(os.Stderr, "subuidless runtime: %s\n", message)
	if r.logFile == "" {
		return
	}
	f, err := os.OpenFile(r.logFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err == nil {
		_, err = f.WriteString(r.formatLog(level, message, time.Now()))
		if e := f.Close(); err == nil {
			err = e
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "subuidless runtime: cannot write to the log file: %v\n", err)
	}
}

// formatLog returns a line of the log. In JSON, crun and runc write the same members; as text,
// crun writes the time and the message, and runc what its library logrus does.
func (r *runtime) formatLog(level, message string, now time.Time) string {
	if r.logFormat == "json" {
		line, err := json.Marshal(map[string]string{"level": level, "msg": message, "time": now.Format(time.RFC3339Nano)})
		if err != nil {
			panic(err) // strings can always be encoded
		}
		return string(line) + "\n"
	}
	if r.backend.kind == runc {
		return fmt.Sprintf("time=%q level=%s msg=%q\n", now.Format(time.RFC3339), level, message)
	}
	return fmt.Sprintf("%s: %s\n", now.UTC().Format("2006-01-02T15:04:05.000000Z"), message)
}
