package seal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
	"testing/iotest"

	"bcast/identity"
	"bcast/internal/fuzztest"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 9180, A.2.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, base mode.
func TestHPKEKeySchedule(t *testing.T) {
	ephemeral, err := ecdh.X25519().NewPrivateKey(
		unhex(t, "f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600"))
	if err != nil {
		t.Fatal(err)
	}
	to, err := ecdh.X25519().NewPublicKey(unhex(t, "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a"))
	if err != nil {
		t.Fatal(err)
	}
	shared, err := ephemeral.ECDH(to)
	if err != nil {
		t.Fatal(err)
	}
	info := unhex(t, "4f6465206f6e2061204772656369616e2055726e")
	key, nonce := hpkeKeys(shared, ephemeral.PublicKey().Bytes(), to.Bytes(), info)
	const wantNonce = "5c4d98150661b848853b547f"
	const wantKey = "ad2744de8e17f4ebba575b3f5f5a8fa1f69c2a07f6e7500bc60ca6e3e3ec1c91"
	if hex.EncodeToString(key) != wantKey || hex.EncodeToString(nonce) != wantNonce {
		t.Errorf("key %x and nonce %x, want %s and %s", key, nonce, wantKey, wantNonce)
	}
}

func TestHPKEOpensElsewhere(t *testing.T) {
	key := deviceKey(t, 10)
	to := key.Agreement().PublicKey()
	sealed, err := sealHPKE(new(countingReader), to, []byte("info"), []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	private, err := hpke.NewDHKEMPrivateKey(key.Agreement())
	if err != nil {
		t.Fatal(err)
	}
	open := func(info string) ([]byte, error) {
		return hpke.Open(private, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(info), sealed)
	}
	if got, err := open("info"); err != nil || string(got) != "plain" {
		t.Errorf("opens as %q, %v", got, err)
	}
	if _, err := open("other"); err == nil {
		t.Error("opens with another info")
	}
}

// countingReader gives 0, 1, 2, … for ever.
type countingReader byte

func (c *countingReader) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(*c)
		*c++
	}
	return len(b), nil
}

var testRoom = counted(1).RoomID()

func rekeyFor(tb testing.TB, members ...identity.PublicKey) ([][]byte, []identity.DeviceID) {
	tb.Helper()
	bodies, left, err := SealRekey(new(countingReader), testRoom, 7, deviceKey(tb, 10).Public(), counted(101), members)
	if err != nil {
		tb.Fatal(err)
	}
	return bodies, left
}

func TestRekey(t *testing.T) {
	a, b, c, out := deviceKey(t, 10), deviceKey(t, 11), deviceKey(t, 12), deviceKey(t, 13)
	bodies, left := rekeyFor(t, a.Public(), b.Public(), c.Public(), b.Public())
	if len(bodies) != 1 || len(left) != 0 {
		t.Fatalf("%d bodies, %d left", len(bodies), len(left))
	}
	const want = "4548f23cfdeb432688c486c94b76965081f90c0454c9ddc7820b7eedf74b257d" // computed apart from this code
	if sum := sha256.Sum256(bodies[0]); hex.EncodeToString(sum[:]) != want {
		t.Errorf("%d bytes, SHA-256 %x, want %s", len(bodies[0]), sum, want)
	}
	for _, k := range []*identity.Key{a, b, c} {
		epoch, secret, ok, err := OpenRekey(k, testRoom, a.Public(), bodies[0])
		if epoch != 7 || secret != counted(101) || !ok || err != nil {
			t.Errorf("epoch %d, %v, %v", epoch, ok, err)
		}
	}
	epoch, secret, ok, err := OpenRekey(out, testRoom, a.Public(), bodies[0])
	if epoch != 7 || secret != (Secret{}) || ok || err != nil {
		t.Errorf("who was left out: epoch %d, %v, %v", epoch, ok, err)
	}
	other := testRoom
	other[0]++
	if _, _, ok, err := OpenRekey(b, other, a.Public(), bodies[0]); ok || !errors.Is(err, errRekeySealed) {
		t.Errorf("in another room: %v", err)
	}
	if _, _, ok, err := OpenRekey(b, testRoom, c.Public(), bodies[0]); ok || !errors.Is(err, errRekeySealed) {
		t.Errorf("handed on by another author: %v", err)
	}
}

func TestRekeyEveryByteCounts(t *testing.T) {
	key := deviceKey(t, 11)
	bodies, _ := rekeyFor(t, key.Public())
	for i := range bodies[0] {
		bad := bytes.Clone(bodies[0])
		bad[i] ^= 1
		_, secret, ok, err := OpenRekey(key, testRoom, deviceKey(t, 10).Public(), bad)
		named := i < rekeyHeader || i >= rekeyHeader+idSize // another id names another device
		if secret != (Secret{}) || ok || named && err == nil {
			t.Errorf("byte %d does not count: %v, %v", i, ok, err)
		}
	}
}

func TestRekeyShape(t *testing.T) {
	a := deviceKey(t, 10)
	bodies, _ := rekeyFor(t, a.Public(), deviceKey(t, 11).Public())
	good := bodies[0]
	change := func(at int, with ...byte) []byte { return slices.Replace(bytes.Clone(good), at, at+len(with), with...) }
	first, second := good[rekeyHeader:][:entrySize], good[rekeyHeader+entrySize:]
	for name, bad := range map[string][]byte{
		"empty": nil, "half a header": good[:rekeyHeader-1], "no entry": change(4+commitSize, 0, 0)[:rekeyHeader],
		"a byte less": good[:len(good)-1], "a byte more": append(bytes.Clone(good), 0),
		"count too large": change(4+commitSize, 0xff, 0xff), "count too small": change(4+commitSize, 0, 1),
		"epoch 0":                   change(0, 0, 0, 0, 0),
		"not in order":              slices.Concat(good[:rekeyHeader], second, first),
		"one named twice":           slices.Concat(good[:rekeyHeader], first, first),
		"more than a body may name": manyEntries(MaxRecipients + 1),
	} {
		if _, _, ok, err := OpenRekey(a, testRoom, a.Public(), bad); ok || !errors.Is(err, errRekey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, ok, err := OpenRekey(a, testRoom, a.Public(), manyEntries(MaxRecipients)); ok || err != nil {
		t.Errorf("as many as a body may name: %v", err)
	}
}

// manyEntries is a well-formed body of epoch 1 that names n devices, none of which is anybody's.
func manyEntries(n int) []byte {
	b := append([]byte{0, 0, 0, 1}, make([]byte, commitSize)...)
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	for i := range n {
		entry := make([]byte, entrySize)
		entry[0] = byte(i)
		b = append(b, entry...)
	}
	return b
}

// An author that gives one member another secret than it committed to is found out by that member.
func TestRekeyCommits(t *testing.T) {
	a, b := deviceKey(t, 10), deviceKey(t, 11)
	bodies, _ := rekeyFor(t, b.Public())
	commit := counted(55).commitment()
	copy(bodies[0][4:], commit[:commitSize])
	_, secret, ok, err := OpenRekey(b, testRoom, a.Public(), bodies[0])
	if secret != (Secret{}) || ok || err != errRekeyCommit {
		t.Errorf("%v, %v", ok, err)
	}
}

func TestRekeyOfManyIsSplit(t *testing.T) {
	author := deviceKey(t, 10)
	var members []identity.PublicKey
	for i := range 2*MaxRecipients + 1 {
		seed := binary.BigEndian.AppendUint64(make([]byte, 24), uint64(i+1))
		key, err := identity.KeyFromSeed(seed)
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, key.Public())
	}
	last, err := identity.KeyFromSeed(binary.BigEndian.AppendUint64(make([]byte, 24), 1))
	if err != nil {
		t.Fatal(err)
	}
	bodies, _ := rekeyFor(t, members...)
	opened := 0
	for _, b := range bodies {
		epoch, secret, ok, err := OpenRekey(last, testRoom, author.Public(), b)
		if err != nil || epoch != 7 || len(b) > 16384 {
			t.Errorf("%d bytes of epoch %d: %v", len(b), epoch, err)
		}
		if ok && secret == counted(101) {
			opened++
		}
	}
	if len(bodies) != 3 || opened != 1 || len(bodies[2]) != rekeyHeader+entrySize {
		t.Errorf("%d bodies, of which %d name a member", len(bodies), opened)
	}
}

func TestRekeyLeavesOutBadKeys(t *testing.T) {
	good := deviceKey(t, 11)
	members := []identity.PublicKey{good.Public()}
	for _, text := range badKeys {
		members = append(members, badKey(t, text))
	}
	bodies, left := rekeyFor(t, members...)
	if len(left) != len(badKeys) || len(bodies) != 1 || len(bodies[0]) != rekeyHeader+entrySize {
		t.Errorf("%d left out, %d bodies", len(left), len(bodies))
	}
	if !slices.IsSortedFunc(left, identity.DeviceID.Compare) {
		t.Error("who is left out comes in no order")
	}
}

func TestRekeyRefuses(t *testing.T) {
	author := deviceKey(t, 10).Public()
	to := []identity.PublicKey{author}
	if _, _, err := SealRekey(new(countingReader), testRoom, 0, author, counted(1), to); err == nil {
		t.Error("epoch 0")
	}
	if _, _, err := SealRekey(new(countingReader), testRoom, 1, author, Secret{}, to); err == nil {
		t.Error("an empty secret")
	}
	if _, _, err := SealRekey(iotest.ErrReader(errors.New("dry")), testRoom, 1, author, counted(1), to); err == nil {
		t.Error("sealed without randomness")
	}
	bodies, left, err := SealRekey(new(countingReader), testRoom, 1, author, counted(1), nil)
	if bodies != nil || left != nil || err != nil {
		t.Errorf("for nobody: %d bodies, %v", len(bodies), err)
	}
}

func FuzzRekey(f *testing.F) {
	a, b := deviceKey(f, 10), deviceKey(f, 11)
	bodies, _ := rekeyFor(f, a.Public(), b.Public())
	f.Add(bodies[0])
	f.Add(bodies[0][:len(bodies[0])-1])
	f.Add(bodies[0][:rekeyHeader])
	author := a.Public()
	OpenRekey(a, testRoom, author, bodies[0]) // what is built once is built now
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		var epoch uint32
		var secret Secret
		var ok bool
		var err error
		fuzztest.Within(t, len(body), 0, 32<<10, func() {
			epoch, secret, ok, err = OpenRekey(b, testRoom, author, body)
		})
		if !bytes.Equal(body, before) {
			t.Fatal("the input was changed")
		}
		if ok != (secret != Secret{}) || err != nil && (ok || epoch != 0) || err == nil && epoch == 0 {
			t.Errorf("epoch %d, %v, %v", epoch, ok, err)
		}
	})
}
