package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// eachModule hands over every generated module in the npm archive that the wheel carries: all files of `package/lib/NAME` as one text,
// because large modules are split up.
// It gives back the version of the provider that they were generated from.
func eachModule(wheel string, use func(name, source string) error) (string, error) {
	outer, err := zip.OpenReader(wheel)
	if err != nil {
		return "", err
	}
	defer outer.Close()
	for _, file := range outer.File {
		if path.Ext(file.Name) != ".tgz" {
			continue
		}
		packed, err := file.Open()
		if err != nil {
			return "", err
		}
		defer packed.Close()
		return eachInArchive(packed, use)
	}
	return "", fmt.Errorf("%s carries no npm archive", wheel)
}

func eachInArchive(packed io.Reader, use func(name, source string) error) (string, error) {
	plain, err := gzip.NewReader(packed)
	if err != nil {
		return "", err
	}
	inner := tar.NewReader(plain)
	var about struct {
		Cdktn struct{ Provider struct{ Version string } }
	}
	sources := map[string]*strings.Builder{}
	for {
		header, err := inner.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		if header.Name == "package/package.json" {
			if err := json.NewDecoder(inner).Decode(&about); err != nil {
				return "", fmt.Errorf("%s: %w", header.Name, err)
			}
		}
		parts := strings.Split(header.Name, "/")
		if len(parts) < 4 || parts[1] != "lib" || path.Ext(header.Name) != ".js" {
			continue
		}
		source := sources[parts[2]]
		if source == nil {
			source = &strings.Builder{}
			sources[parts[2]] = source
		}
		if _, err := io.Copy(source, inner); err != nil {
			return "", err
		}
	}
	for name, source := range sources {
		if err := use(name, source.String()); err != nil {
			return "", err
		}
	}
	if about.Cdktn.Provider.Version == "" {
		return "", errors.New("the npm archive does not say the provider's version")
	}
	return about.Cdktn.Provider.Version, nil
}
