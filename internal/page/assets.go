package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"net/http"
	"path"
	"sync"
	"time"

	"bcast/internal/control"
)

//go:embed assets
var embedded embed.FS

// asset is one file of the page.
type asset struct {
	data []byte
	kind string // media type
	tag  string // changes with the content
}

// guestDocument is the name of the page for guests.
const guestDocument = "guest.html"

// assets by their name; the document's is empty. They are read when a page is first asked for: not all that starts a
// bcast opens one.
var assets = sync.OnceValue(readAssets)

// kinds are the media types of the page's files: the system's own table says other things of .js on some machines.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
	".js": "text/javascript; charset=utf-8",
}

func readAssets() map[string]asset {
	all := map[string]asset{}
	entries, err := embedded.ReadDir("assets")
	if err != nil {
		panic("the page is not in the program: " + err.Error())
	}
	for _, entry := range entries {
		data, err := embedded.ReadFile(path.Join("assets", entry.Name()))
		if err != nil {
			panic("the page is not in the program: " + err.Error())
		}
		name := entry.Name()
		if name == "index.html" {
			name = ""
		}
		sum := sha256.Sum256(data)
		all[name] = asset{data, kinds[path.Ext(entry.Name())], fmt.Sprintf(`"%x"`, sum[:12])}
	}
	return all
}

// serveAsset answers with a file of the page. A browser may keep it, but asks each time whether it is still that one:
// the next version of the program is then seen at once.
func serveAsset(w http.ResponseWriter, r *http.Request) {
	file, ok := assets()[r.PathValue("name")]
	if !ok {
		refuse(w, control.NewError(control.CodeNotFound, nil, fmt.Sprintf("no such file: %s", r.URL.Path), ""))
		return
	}
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", file.kind)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", file.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file.data))
}
