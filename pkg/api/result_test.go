// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	cniversion "github.com/containernetworking/cni/pkg/version"
)

// printed runs printResult with standard output in a pipe.
func printed(t *testing.T, answer, version string) (string, error) {
	t.Helper()
	return printedAs(t, jsonType, answer, version)
}

func printedAs(t *testing.T, mediaType, body, version string) (string, error) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = w
	printErr := (&answer{mediaType: mediaType, body: []byte(body)}).printResult(version)
	os.Stdout = stdout
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out), printErr
}

const (
	withIPv4 = `{"Result":{"cniVersion":"1.1.0","interfaces":[{"name":"eth0","sandbox":"/n"}],
		"ips":[{"interface":0,"address":"10.1.2.3/24","gateway":"10.1.2.1"}],"routes":[{"dst":"0.0.0.0/0"}]}}`
	withIPv6  = `{"Result":{"cniVersion":"1.0.0","ips":[{"address":"fd00::5/64"}]}}`
	withoutIP = `{"Result":{"interfaces":[{"name":"eth0"}]}}`
)

func TestPrintResultInEveryVersion(t *testing.T) {
	for _, version := range append(cniversion.All.SupportedVersions(), "") {
		for answer, address := range map[string]string{withIPv4: "10.1.2.3/24", withIPv6: "fd00::5/64"} {
			out, err := printed(t, answer, version)
			if err != nil {
				t.Errorf("%q: %v", version, err)
				continue
			}
			want := version
			if want == "" {
				want = "0.1.0"
			}
			result, err := cniversion.NewResult(want, []byte(out))
			if err != nil || result.Version() != want {
				t.Errorf("%q: printed %s, which reads as %v, %v", version, out, result, err)
			}
			if !json.Valid([]byte(out)) || !strings.Contains(out, address) {
				t.Errorf("%q: printed %s without %s", version, out, address)
			}
		}
	}
}

func TestPrintResultWithoutAddress(t *testing.T) {
	for _, version := range append(cniversion.All.SupportedVersions(), "") {
		out, err := printed(t, withoutIP, version)
		if version >= "0.3.0" {
			if err != nil || !strings.Contains(out, `"eth0"`) {
				t.Errorf("%q: printed %q, %v", version, out, err)
			}
			continue
		}
		var cniError *types.Error
		if !errors.As(err, &cniError) || cniError.Code != types.ErrIncompatibleCNIVersion || out != "" {
			t.Errorf("%q: printed %q, %#v; want code 1 and no output", version, out, err)
		}
	}
}

func TestPrintResultRefusesAnswers(t *testing.T) {
	for _, answer := range []string{
		``, `{`, `{}`, `null`, `{"Result":null}`, `{"Result":[]}`,
		`{"Result":{"cniVersion":"0.4.0","ips":[]}}`,
		`{"Result":{"cniVersion":"0.2.0","ip4":{"ip":"10.0.0.1/8"}}}`,
		`{"Result":{"cniVersion":"1.0.0","ips":[null]}}`,
		`{"Result":{"cniVersion":"1.0.0","interfaces":[null]}}`,
		`{"Result":{"cniVersion":"1.0.0","routes":[null]}}`,
		`{"Result":{"cniVersion":"1.0.0","ips":[{"address":"ten"}]}}`,
	} {
		out, err := printed(t, answer, "0.4.0")
		var cniError *types.Error
		if !errors.As(err, &cniError) || cniError.Code != types.ErrDecodingFailure || out != "" {
			t.Errorf("%s: printed %q, %#v; want code 6 and no output", answer, out, err)
		}
	}
}

// What the daemon has made to be printed is printed as it is.
func TestPrintResultThatIsPrinted(t *testing.T) {
	const document = `{"cniVersion":"0.4.0", "more":[1]}`
	if out, err := printedAs(t, PrintedResult, document, "0.4.0"); err != nil || out != document {
		t.Errorf("printed %q, %v", out, err)
	}
	for _, body := range []string{"", "{", document + document} {
		out, err := printedAs(t, PrintedResult, body, "0.4.0")
		var cniError *types.Error
		if !errors.As(err, &cniError) || cniError.Code != types.ErrDecodingFailure || out != "" {
			t.Errorf("%q: printed %q, %#v; want code 6 and no output", body, out, err)
		}
	}
}

func TestPrintResultToAClosedStdout(t *testing.T) {
	file, err := os.Open(os.DevNull) // not writable
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	stdout := os.Stdout
	os.Stdout = file
	err = (&answer{body: []byte(withIPv4)}).printResult("1.0.0")
	os.Stdout = stdout
	var cniError *types.Error
	if !errors.As(err, &cniError) || cniError.Code != types.ErrIOFailure {
		t.Errorf("got %#v, want code 5", err)
	}
}
