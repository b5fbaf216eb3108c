// Fetch puts the ONNX Runtime library into the cache where package library finds it: what `./task ort` runs.
//
// The library is a file of the npm package onnxruntime-node, the only official package with an inference library for
// each of these systems at that version. npm downloads the archive, with whatever registry and proxy it is set up for;
// nothing of it is installed or run. The archive and the one file taken from it must have the hashes that are written
// down here. A library that is there already and has the right hash is left alone, without a network.
//
//	go run ./onnx/ort/fetch [-archive FILE.tgz] [-into FOLDER]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"metalora/onnx/ort/library"
)

func main() {
	archive := flag.String("archive", "", "the archive of "+onnxruntime.spec+", where it is downloaded already")
	into := flag.String("into", "", "a folder to put the library into as well, as lib beside a program")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *archive, *into); err != nil {
		fmt.Fprintln(os.Stderr, "fetch:", err)
		os.Exit(1)
	}
}

// run finds or fetches the library, and puts it beside a program where asked to.
func run(ctx context.Context, archive, into string) error {
	path, err := present(ctx, archive)
	if err != nil || into == "" {
		return err
	}
	return beside(path, into)
}

// present returns the library that METALORA_ORT names, or the cache's after fetching it where need be.
func present(ctx context.Context, archive string) (string, error) {
	if os.Getenv(library.Variable) != "" {
		path, err := library.Find()
		if err != nil {
			return "", err
		}
		return path, library.Check(path)
	}
	path, err := library.CachePath(runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return "", err
	}
	return path, onnxruntime.install(ctx, archive, runtime.GOOS+"/"+runtime.GOARCH, path)
}
