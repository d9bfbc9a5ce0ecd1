package main

import (
	"archive/tar"
	"bufio"
	"errors"
	"os"
	"path"
	"path/filepath"
)

const (
	archiveRoot  = "root.tar"
	archiveMixed = "mixed.tar"
)

// makeArchives creates one archive whose members all belong to root, which a one-id
// namespace can restore, and one whose members belong to several users and groups, as in
// a distribution's root file system.
func makeArchives(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(
		makeArchive(filepath.Join(dir, archiveRoot), []int{0}, []int{0}),
		makeArchive(filepath.Join(dir, archiveMixed), []int{0, 33, 101, 1000, 65534}, []int{0, 4, 33, 42, 1000, 1001, 65534}),
	)
}

func makeArchive(file string, uids, gids []int) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buffer := bufio.NewWriter(f)
	archive := tar.NewWriter(buffer)
	for i := range 10_000 {
		member := tar.Header{Name: filePath(i), Mode: 0o644, Uid: uids[i%len(uids)], Gid: gids[i%len(gids)]}
		if i%filesPerDirectory == 0 {
			directory := member
			directory.Typeflag, directory.Name, directory.Mode = tar.TypeDir, path.Dir(member.Name)+"/", 0o755
			if err := archive.WriteHeader(&directory); err != nil {
				return err
			}
		}
		content := fileContent(i, 1024)
		member.Typeflag, member.Size = tar.TypeReg, int64(len(content))
		if err := archive.WriteHeader(&member); err != nil {
			return err
		}
		if _, err := archive.Write(content); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), buffer.Flush())
}
