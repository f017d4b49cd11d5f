/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ticket is the session's state, sealed by us and kept by the client. It is sealed with the
 * newest key, which is replaced every hour, and opened with any key that can still have a living
 * ticket. A client with a ticket of an older key gets a fresh one. Keys are made when they are
 * needed, live in memory only, and are wiped when no ticket of theirs can be alive: a stolen key
 * opens three hours of sessions at most, and none from before the start of the process.
 */
#include "net/ticket.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"

#define NAME_BYTES 16 /* OpenSSL's field for the key's name */
#define IV_BYTES 16
#define KEY_BYTES 32
#define KEYS 3
#define SEAL_MS (TICKET_LIFETIME_S * 1000LL / 2)
#define OPEN_MS (SEAL_MS + TICKET_LIFETIME_S * 1000LL)

struct ticket_key {
	bool set;
	unsigned char name[NAME_BYTES], cipher[KEY_BYTES], mac[KEY_BYTES];
	int64_t made_ms;
};

static struct {
	pthread_mutex_t mutex;
	/* below: under mutex */
	struct ticket_key keys[KEYS]; /* the newest first */
} tickets = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Under the mutex: keys that are too old go, and the first is fit for sealing. */
static void
keys_rotate(int64_t now_ms)
{
	struct ticket_key *k = tickets.keys;

	for (unsigned i = 0; i < KEYS; i++)
		if (k[i].set && now_ms - k[i].made_ms >= OPEN_MS)
			secret_wipe(&k[i], sizeof(k[i]));
	if (k[0].set && now_ms - k[0].made_ms < SEAL_MS)
		return;
	memmove(&k[1], &k[0], (KEYS - 1) * sizeof(k[0]));
	secret_random(k[0].name, sizeof(k[0].name));
	secret_random(k[0].cipher, sizeof(k[0].cipher));
	secret_random(k[0].mac, sizeof(k[0].mac));
	k[0].made_ms = now_ms;
	k[0].set = true;
}

/* The key to seal with (name NULL) or the one of that name. *ret_newest: it is the one that
 * seals. */
static bool
key_copy(const unsigned char *name, struct ticket_key *ret, bool *ret_newest)
{
	bool found = false;

	pthread_mutex_lock(&tickets.mutex);
	keys_rotate(mono_ms());
	for (unsigned i = 0; i < KEYS && !found; i++) {
		const struct ticket_key *k = &tickets.keys[i];

		/* names are not secret: they travel in the ticket */
		if (!k->set || (name && memcmp(k->name, name, NAME_BYTES) != 0))
			continue;
		*ret = *k;
		*ret_newest = i == 0;
		found = true;
	}
	pthread_mutex_unlock(&tickets.mutex);
	return found;
}

static bool
mac_init(EVP_MAC_CTX *mac, struct ticket_key *k)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, sizeof(k->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int
ticket_seal(struct ticket_key *k, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	    EVP_MAC_CTX *mac)
{
	memcpy(name, k->name, NAME_BYTES);
	if (RAND_bytes(iv, IV_BYTES) != 1 ||
	    EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv) != 1 ||
	    !mac_init(mac, k))
		return -1;
	return 1;
}

/* 1: go on; 2: go on, and give the client a new ticket. */
static int
ticket_unseal(struct ticket_key *k, bool newest, const unsigned char *iv, EVP_CIPHER_CTX *cipher,
	      EVP_MAC_CTX *mac)
{
	if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv) != 1 ||
	    !mac_init(mac, k))
		return -1;
	return newest ? 1 : 2;
}

/* OpenSSL's: SSL_CTX_set_tlsext_ticket_key_evp_cb(3). */
static int
ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	   EVP_MAC_CTX *mac, int sealing)
{
	struct ticket_key k;
	bool newest;
	int rc;

	(void)ssl;
	if (!key_copy(sealing ? NULL : name, &k, &newest))
		return 0; /* an old key's, or another server's: a full handshake */
	rc = sealing ? ticket_seal(&k, name, iv, cipher, mac)
		     : ticket_unseal(&k, newest, iv, cipher, mac);
	secret_wipe(&k, sizeof(k));
	return rc;
}

bool
ticket_use(SSL_CTX *ctx)
{
	return SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key) == 1;
}
