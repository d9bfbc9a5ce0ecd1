// This file is empty. Its presence lets the Go compiler accept the functions
// without bodies in enter.go, whose bodies are the runtime's.
