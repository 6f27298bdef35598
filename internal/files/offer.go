package files

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"time"
)

// offersTarget is where what is to go to an inbox is offered.
const offersTarget = "http://files/v1/offers"

// Give brings files and directories of this host, each the only thing of its root that is meant, to a device's inbox.
// asked is called when its user has to be asked, for each maxOfferNames of them. It waits for that until ctx ends.
func (r *Remote) Give(ctx context.Context, things []Thing, asked func(), o Options) error {
	for some := range slices.Chunk(things, maxOfferNames) {
		if err := r.give(ctx, some, asked, o); err != nil {
			return err
		}
	}
	return nil
}

func (r *Remote) give(ctx context.Context, things []Thing, asked func(), o Options) error {
	head, err := describe(ctx, things)
	if err != nil {
		return err
	}
	body, err := json.Marshal(head)
	if err != nil {
		return err
	}
	answer, err := askFor[offered](ctx, r, http.MethodPost, offersTarget, bytes.NewReader(body), nil)
	if err == nil && answer.State == OfferWaiting {
		asked()
	}
	for err == nil && answer.State == OfferWaiting {
		id := answer.ID
		begun := time.Now()
		answer, err = askFor[offered](ctx, r, http.MethodGet, offersTarget+"/"+url.PathEscape(id), nil, nil)
		if err == nil && answer.State == OfferWaiting && time.Since(begun) < time.Second {
			select { // who answers at once is not asked all the time
			case <-time.After(time.Second):
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
	}
	if err != nil {
		return err
	}
	for _, t := range things {
		if err := r.Send(ctx, t.Root, t.Name, offerMark+answer.ID, path.Base(t.Name), o); err != nil {
			return err
		}
	}
	return nil
}

// Thing is a file or directory of this host.
type Thing struct {
	Root *os.Root
	Name string // below it
}

// spareDirs are how many directories more than files an offer may bring, for long ways to few files.
const spareDirs = 64

// describe counts what is to be given.
func describe(ctx context.Context, things []Thing) (head offerHead, err error) {
	dirs := 0
	for i, t := range things {
		w := walker{ctx: ctx, root: t.Root, deep: true, left: maxEntries}
		w.tell = func(e Entry) error {
			switch {
			case e.Skip != "":
			case e.Dir:
				dirs++
			default:
				head.Files, head.Bytes = head.Files+1, head.Bytes+e.Size
			}
			return nil
		}
		top, _ := w.entry(t.Name, "", path.Base(t.Name))
		if top.Skip != "" {
			return head, newError(CodeName, nil, t.Name+": "+top.Skip, "")
		}
		if name := path.Base(t.Name); i == 0 {
			head.Name = name
		} else {
			head.Names = append(head.Names, name)
		}
		if err = w.tell(top); err == nil && top.Dir {
			err = w.walk(t.Name, "", 0)
		}
		if err != nil {
			return head, err
		}
	}
	head.Files = max(head.Files, dirs-spareDirs) // a tree that is mostly empty is told by its directories
	return head, nil
}
