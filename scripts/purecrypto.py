"""Ed25519, X25519 and XChaCha20-Poly1305 in plain Python, for scripts/vectors.py and peer.py: short, slow and no
better guarded against side channels than anything in Python. Never use it where a secret is at stake.
"""
import hashlib
import hmac

# --- Ed25519 (RFC 8032) ----------------------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def point_add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def point_mul(s, p):
    q = (0, 1, 1, 0)
    while s > 0:
        if s & 1:
            q = point_add(q, p)
        p = point_add(p, p)
        s >>= 1
    return q


def point_decode(b):
    y = int.from_bytes(b, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * SQRT_M1 % P
    if (x * x - x2) % P or y >= P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = point_decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def point_encode(p):
    inverse = pow(p[2], P - 2, P)
    x, y = p[0] * inverse % P, p[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def scalar(seed):
    return int.from_bytes(hashlib.sha512(seed).digest()[:32], "little") & (1 << 254) - 8 | 1 << 254


def public_key(seed):
    return point_encode(point_mul(scalar(seed), BASE))


def challenge(r, key, message):
    return int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L


def sign(seed, key, message):
    nonce = int.from_bytes(hashlib.sha512(hashlib.sha512(seed).digest()[32:] + message).digest(), "little") % L
    r = point_encode(point_mul(nonce, BASE))
    return r + ((nonce + challenge(r, key, message) * scalar(seed)) % L).to_bytes(32, "little")


def verifies(key, message, sig):
    a, r, s = point_decode(key), point_decode(sig[:32]), int.from_bytes(sig[32:], "little")
    if a is None or r is None or s >= L:
        return False
    k = challenge(sig[:32], key, message)
    return point_encode(point_mul(s, BASE)) == point_encode(point_add(r, point_mul(k, a)))


def x25519(seed, key):
    """What two Ed25519 keys share when both are taken for X25519, or None: on the curve of RFC 7748 u is (1+y)/(1-y)."""
    p = point_decode(key)
    if p is None or point_encode(point_mul(8, p)) == point_encode((0, 1, 1, 0)):
        return None
    _, y, z, _ = point_mul(scalar(seed), p)
    return ((z + y) * pow(z - y, P - 2, P) % P).to_bytes(32, "little")


# --- XChaCha20-Poly1305 (RFC 8439, draft-irtf-cfrg-xchacha) ----------------------------------------------------------

def words(b):
    return [int.from_bytes(b[i:i + 4], "little") for i in range(0, len(b), 4)]


def unwords(ws):
    return b"".join((w & 0xFFFFFFFF).to_bytes(4, "little") for w in ws)


def quarter(s, a, b, c, d):
    for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xFFFFFFFF
        w = s[z] ^ s[x]
        s[z] = (w << n | w >> (32 - n)) & 0xFFFFFFFF


def chacha_rounds(state):
    s = list(state)
    for _ in range(10):
        for i in range(4):
            quarter(s, i, i + 4, i + 8, i + 12)
        for i in range(4):
            quarter(s, i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12)
    return s


SIGMA = words(b"expand 32-byte k")


def chacha_block(key, counter, nonce):
    state = SIGMA + words(key) + [counter] + words(nonce)
    return unwords(x + y for x, y in zip(state, chacha_rounds(state)))


def poly1305(key, message):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for i in range(0, len(message), 16):
        total = (total + int.from_bytes(message[i:i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(key[16:], "little")) & (1 << 128) - 1).to_bytes(16, "little")


def pad16(b):
    return b + bytes(-len(b) % 16)


def unseal(key, nonce, ciphertext, mac, ad):
    """The plaintext, or None."""
    key, nonce = subkey(key, nonce)
    if not hmac.compare_digest(seal_mac(key, nonce, ciphertext, ad), mac):
        return None
    return encrypt(key, nonce, ciphertext)


def seal(key, nonce, plaintext, ad):
    """The ciphertext and its mac."""
    key, nonce = subkey(key, nonce)
    ciphertext = encrypt(key, nonce, plaintext)
    return ciphertext + seal_mac(key, nonce, ciphertext, ad)


def subkey(key, nonce):
    s = chacha_rounds(SIGMA + words(key) + words(nonce[:16]))
    return unwords(s[:4] + s[12:]), bytes(4) + nonce[16:]


def seal_mac(key, nonce, ciphertext, ad):
    sizes = len(ad).to_bytes(8, "little") + len(ciphertext).to_bytes(8, "little")
    return poly1305(chacha_block(key, 0, nonce)[:32], pad16(ad) + pad16(ciphertext) + sizes)


def encrypt(key, nonce, b):
    stream = b"".join(chacha_block(key, 1 + i, nonce) for i in range((len(b) + 63) // 64))
    return bytes(x ^ y for x, y in zip(b, stream))
