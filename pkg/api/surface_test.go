// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	cni100 "github.com/containernetworking/cni/pkg/types/100"
)

// published is the surface that Multus CNI's clients know, with what Multus 4.3 added to it.
var published = []string{
	"const APIReadyPollDuration = 100 * time.Millisecond",
	"const APIReadyPollTimeout = 60000 * time.Millisecond",
	`const MultusCNIAPIEndpoint = "/cni"`,
	`const MultusDelegateAPIEndpoint = "/delegate"`,
	`const MultusHealthAPIEndpoint = "/healthz"`,
	`const MultusReadyAPIEndpoint = "/readyz"`,
	"func CheckAPIReadyNow(socketPath string) error",
	"func CmdAdd(args *skel.CmdArgs) error",
	"func CmdCheck(args *skel.CmdArgs) error",
	"func CmdDel(args *skel.CmdArgs) error",
	"func CmdGC(args *skel.CmdArgs) error",
	"func CmdStatus(args *skel.CmdArgs) error",
	"func CreateDelegateRequest(cniCommand, cniContainerID, cniNetNS, cniIFName, podNamespace, podName, podUID string, " +
		"cniConfig []byte, interfaceAttributes *DelegateInterfaceAttributes) *Request",
	"func DoCNI(url string, req interface{}, socketPath string) ([]byte, error)",
	"func GetAPIEndpoint(endpoint string) string",
	"func SocketPath(rundir string) string",
	"func WaitUntilAPIReady(socketPath string) error",
	"type DelegateInterfaceAttributes struct",
	"type DelegateInterfaceAttributes: IPRequest []string `json:\"ips,omitempty\"`",
	"type DelegateInterfaceAttributes: MacRequest string `json:\"mac,omitempty\"`",
	"type DelegateInterfaceAttributes: CNIArgs *map[string]interface{} `json:\"cni-args\"`",
	"type Request struct",
	"type Request: Env map[string]string `json:\"env,omitempty\"`",
	"type Request: Config []byte `json:\"config,omitempty\"`",
	"type Request: InterfaceAttributes *DelegateInterfaceAttributes `json:\"interfaceAttributes,omitempty\"`",
	"type Response struct",
	"type Response: Result *cni100.Result",
	"type ShimNetConf struct",
	"type ShimNetConf: CNIVersion string `json:\"cniVersion,omitempty\"`",
	"type ShimNetConf: MultusSocketDir string `json:\"daemonSocketDir\"`",
	"type ShimNetConf: LogFile string `json:\"logFile,omitempty\"`",
	"type ShimNetConf: LogLevel string `json:\"logLevel,omitempty\"`",
	"type ShimNetConf: LogToStderr bool `json:\"logToStderr,omitempty\"`",
}

// additions are Thicket's own: a shim's main function and what it may be answered (SHIM-13), and what shim and daemon share
// about pending DELs (SHIM-07) and about delegates (SEC-09).
var additions = []string{
	`const DelegateVariable = "CNI_DELEGATE_OF"`,
	`const PrintedResult = "application/vnd.thicket.printed-result+json"`,
	"func Delegated(by, command string) (delegated bool, err error)",
	"func Main(about string, begun *quick.Begun)",
	"func PendingDir(cniDir string) string",
	"func PendingFiles(dir string) ([]string, error)",
	"func ReadPending(path string) (*Request, error)",
	"func RecordPending(dir string, r *Request) error",
}

// The text of a signature depends on what its imports are called; the compiler settles what they are.
var (
	_ time.Duration = APIReadyPollDuration
	_ time.Duration = APIReadyPollTimeout

	_ func(string) error                                                                                    = CheckAPIReadyNow
	_ func(string) error                                                                                    = WaitUntilAPIReady
	_ func(*skel.CmdArgs) error                                                                             = CmdAdd
	_ func(string, interface{}, string) ([]byte, error)                                                     = DoCNI
	_ func(a, b, c, d, e, f, g string, config []byte, attributes *DelegateInterfaceAttributes) (_ *Request) = CreateDelegateRequest

	_ *cni100.Result = Response{}.Result
)

func TestSurface(t *testing.T) {
	got, undocumented := surface(t)
	want := slices.Concat(published, additions)
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("exported, but not in the list:\n  %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("in the list, but not exported so:\n  %s", line)
		}
	}
	for _, line := range undocumented {
		t.Errorf("has no doc comment: %s", line)
	}
}

// surface renders every exported identifier of the package as one line, and lists those without a doc comment.
func surface(t *testing.T) (lines, undocumented []string) {
	t.Helper()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	add := func(documented *ast.CommentGroup, line string) {
		lines = append(lines, line)
		if documented.Text() == "" {
			undocumented = append(undocumented, line)
		}
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				addFunc(d, add)
			case *ast.GenDecl:
				addDecl(d, add)
			}
		}
	}
	return lines, undocumented
}

// addFunc adds an exported function, or an exported method of an exported type.
func addFunc(d *ast.FuncDecl, add func(*ast.CommentGroup, string)) {
	if !d.Name.IsExported() {
		return
	}
	if d.Recv != nil && !ast.IsExported(strings.TrimPrefix(text(d.Recv.List[0].Type), "*")) {
		return
	}
	add(d.Doc, text(&ast.FuncDecl{Recv: d.Recv, Name: d.Name, Type: d.Type}))
}

// addDecl adds exported constants and variables with their values, types, and the fields of structs.
func addDecl(d *ast.GenDecl, add func(*ast.CommentGroup, string)) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.ValueSpec:
			for i, name := range s.Names {
				if name.IsExported() {
					line := d.Tok.String() + " " + name.Name
					if i < len(s.Values) {
						line += " = " + text(s.Values[i])
					}
					add(s.Doc, line)
				}
			}
		case *ast.TypeSpec:
			if s.Name.IsExported() {
				addType(d.Doc, s, add)
			}
		}
	}
}

func addType(doc *ast.CommentGroup, s *ast.TypeSpec, add func(*ast.CommentGroup, string)) {
	fields, isStruct := s.Type.(*ast.StructType)
	if !isStruct {
		add(doc, "type "+s.Name.Name+" "+text(s.Type))
		return
	}
	add(doc, "type "+s.Name.Name+" struct")
	for _, field := range fields.Fields.List {
		line := "type " + s.Name.Name + ":"
		for _, name := range field.Names {
			line += " " + name.Name
		}
		line += " " + text(field.Type)
		if field.Tag != nil {
			line += " " + field.Tag.Value
		}
		add(field.Doc, line)
	}
}

// text prints a node on one line.
func text(node any) string {
	var out bytes.Buffer
	if err := printer.Fprint(&out, token.NewFileSet(), node); err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(out.String()), " ")
}
