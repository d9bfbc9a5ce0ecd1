// Package files makes the layers of an image build: it copies files for COPY, ADD and WORKDIR,
// and finds what RUN has changed. The layer of a commit is made in the same way.
//
// It does so in a process of its own, in a user namespace that maps the caller's id to root, as
// package unpack does, and for the same reasons. A layer is written as an archive and as an
// unpacked layer at the same time. No container and no supervision are needed: owners are
// records.
package files
