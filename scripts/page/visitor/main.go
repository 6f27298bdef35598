// Command visitor is a person at the page, for checks of the whole: it does in a Chromium what standard input says, a line
// each, and answers with a line.
//
//	say TEXT     writes it and sends it: "said"
//	shown        what the page shows of the room: an array of [nick, text]
//	shot FILE    keeps a picture: "kept"
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// patience bounds one thing done on a busy machine.
const patience = 30 * time.Second

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: visitor ADDRESS, as `bcast page` prints it")
	}
	if err := visit(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func visit(addr string) error {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WindowSize(1280, 800))
	ctx, end := chromedp.NewExecAllocator(context.Background(), options...)
	defer end()
	ctx, end = chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {})) // of events it does not know
	defer end()
	if err := chromedp.Run(ctx, chromedp.Navigate(addr), visible("#entry")); err != nil {
		return err
	}
	fmt.Println(`"open"`)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		answer, err := obey(ctx, lines.Text())
		if err != nil {
			return fmt.Errorf("%s: %w", lines.Text(), err)
		}
		fmt.Println(string(answer))
	}
	return nil
}

// obey does one line and returns its answer as JSON.
func obey(ctx context.Context, line string) ([]byte, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "say":
		return []byte(`"said"`), chromedp.Run(ctx, chromedp.Focus("#entry", chromedp.ByQuery), input.InsertText(rest),
			chromedp.Click("#send", chromedp.ByQuery))
	case "shot":
		var png []byte
		if err := chromedp.Run(ctx, chromedp.CaptureScreenshot(&png)); err != nil {
			return nil, err
		}
		return []byte(`"kept"`), os.WriteFile(rest, png, 0o600)
	case "shown":
		var posts [][2]string
		err := chromedp.Run(ctx, chromedp.Evaluate(shown, &posts))
		answer, err2 := json.Marshal(posts)
		return answer, errors.Join(err, err2)
	}
	return nil, errors.New("not known")
}

// shown reads posts as a person does: who said a post is above the first of several.
const shown = `(() => {
	let nick = '';
	return [...document.querySelectorAll('#log article')].map((post) => {
		nick = post.querySelector('.by .nick')?.textContent ?? nick;
		return [nick, post.querySelector('.text').textContent];
	});
})()`

func visible(selector string) chromedp.Action {
	return chromedp.WaitVisible(selector, chromedp.ByQuery)
}
