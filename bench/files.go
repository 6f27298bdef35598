package main

import (
	"archive/tar"
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// What files are compared with: `bench serve ADDR DIR` is the plain file server of Go's library over TLS 1.3 and
// HTTP/1.1, for curl; and `bench copy ADDR DIR`, the other end of its second port, is `cp -r` over the same TLS: the
// files of a directory one after the other in one stream, as tar has them, written as they come. Neither checks or syncs
// anything.

// filePort serves HTTP, the one above it a tar of the directory to each connection.
const filePort = 8443

// serveFiles never returns but with an error.
func serveFiles(address, dir string) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	made, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		return err
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
		Certificates: []tls.Certificate{{Certificate: [][]byte{made}, PrivateKey: key}},
	}
	plain, err := tls.Listen("tcp", net.JoinHostPort(address, fmt.Sprint(filePort)), config)
	if err != nil {
		return err
	}
	copies, err := tls.Listen("tcp", net.JoinHostPort(address, fmt.Sprint(filePort+1)), config)
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := copies.Accept()
			if err != nil {
				return
			}
			if err := sendTree(conn, dir); err != nil {
				fmt.Fprintln(os.Stderr, "bench:", err)
			}
		}
	}()
	report(map[string]int64{"ready": time.Now().UnixNano()})
	return http.Serve(plain, http.FileServer(http.Dir(dir)))
}

// sendTree sends the directory that a line names, below dir.
func sendTree(conn net.Conn, dir string) error {
	defer conn.Close()
	name, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(conn, 256<<10)
	out := tar.NewWriter(buffered)
	err = out.AddFS(os.DirFS(filepath.Join(dir, name[:len(name)-1])))
	return errors.Join(err, out.Close(), buffered.Flush())
}

// copyFiles brings the directory called name from the server at address to dir.
func copyFiles(address, name, dir string) error {
	conn, err := tls.Dial("tcp", net.JoinHostPort(address, fmt.Sprint(filePort+1)),
		&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, name+"\n"); err != nil {
		return err
	}
	in := tar.NewReader(bufio.NewReaderSize(conn, 256<<10))
	for {
		head, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = writeFile(filepath.Join(dir, head.Name), head, in)
		}
		if err != nil {
			return err
		}
	}
}

func writeFile(at string, head *tar.Header, content io.Reader) error {
	if head.FileInfo().Mode()&fs.ModeDir != 0 {
		return os.MkdirAll(at, 0o777)
	}
	f, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, head.FileInfo().Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close(), os.Chtimes(at, time.Time{}, head.ModTime))
}
