// Package dockerfile parses Dockerfiles and evaluates their instructions, as the reference of
// BuildKit's Dockerfile frontend describes them. The syntax is BuildKit's own parser.
//
// The package is pure: it reads no file and knows no image. Evaluating a stage needs the
// configuration of its base only, so nothing that is executed changes what follows.
package dockerfile
