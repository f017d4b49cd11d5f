/* SPDX-License-Identifier: Apache-2.0 */
#include "conn.h"

#include <ldap.h>
#include <openldap.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "dial.h"
#include "tls.h"

#define SLICE_MS 200
/* bytes of one message: an entry's mapped attributes are far below */
#define INCOMING_MAX (1u << 20)

/* Sent by the directories of the Netscape family: the password is expired, or has to be changed. */
#define CONTROL_PASSWORD_EXPIRED "2.16.840.1.113730.3.4.4"

static struct timeval
timeval_of(int64_t ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

/* ---- failures -------------------------------------------------------------------------------- */

void
conn_close(struct conn *c)
{
	if (c->ld)
		(void)ldap_unbind_ext(c->ld, NULL, NULL);
	c->ld = NULL;
}

int32_t
conn_broken(struct conn *c, const struct ask *a, const char *what, int err)
{
	char *detail = NULL;

	(void)ldap_get_option(c->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &detail);
	ask_error(a, "%s: %s: %s%s%s", c->server->uri, what, ldap_err2string(err),
		  detail && *detail ? ": " : "", detail ? detail : "");
	ldap_memfree(detail);
	conn_close(c);
	return err == LDAP_NO_MEMORY ? PM_NOMEM : PM_DOWN;
}

static int32_t
too_late(struct conn *c, const struct ask *a, const char *what)
{
	ask_error(a,
		  "%s: %s: no answer in time; is it hung, are connect_timeout and timeout enough?",
		  c->server->uri, what);
	conn_close(c);
	return PM_TIMEOUT;
}

/* Advice about a result code. */
static const char *
conn_advice(int code)
{
	switch (code) {
	case LDAP_INVALID_CREDENTIALS:
	case LDAP_INAPPROPRIATE_AUTH:
		return "; bind_dn or bind_password is wrong";
	case LDAP_STRONG_AUTH_REQUIRED:
	case LDAP_CONFIDENTIALITY_REQUIRED:
		return "; it wants TLS: starttls = yes, or ldaps://";
	case LDAP_NO_SUCH_OBJECT:
		return "; does base exist, may bind_dn read it?";
	case LDAP_REFERRAL:
		return "; referrals are not followed: name the other server, or another base";
	case LDAP_INSUFFICIENT_ACCESS:
		return "; bind_dn may not do that";
	default:
		return "";
	}
}

int32_t
conn_refused(const struct conn *c, const struct ask *a, const char *what, int code,
	     const char *diagnostic)
{
	ask_error(a, "%s: %s: %s (%d)%s%s%s", c->server->uri, what, ldap_err2string(code), code,
		  conn_advice(code), diagnostic && *diagnostic ? ": " : "",
		  diagnostic ? diagnostic : "");
	switch (code) {
	case LDAP_BUSY:
	case LDAP_UNAVAILABLE:
	case LDAP_UNWILLING_TO_PERFORM:
	case LDAP_STRONG_AUTH_REQUIRED:
	case LDAP_CONFIDENTIALITY_REQUIRED:
		return PM_DOWN;
	case LDAP_TIMELIMIT_EXCEEDED:
		return PM_TIMEOUT;
	default:
		return PM_TEMP;
	}
}

/* ---- answers --------------------------------------------------------------------------------- */

int32_t
conn_wait(struct conn *c, const struct ask *a, int msgid, struct ldapmsg **ret)
{
	for (;;) {
		int64_t left = ask_left(a);
		struct timeval tv = timeval_of(left < SLICE_MS ? left : SLICE_MS);
		int type, err = LDAP_SERVER_DOWN;

		if (left == 0)
			return too_late(c, a, "search or bind");
		if (a->call->cancelled(a->call)) {
			conn_close(c);
			return PM_CANCELLED;
		}
		type = ldap_result(c->ld, msgid, LDAP_MSG_ONE, &tv, ret);
		if (type > 0)
			return PM_OK;
		if (type == 0)
			continue;
		(void)ldap_get_option(c->ld, LDAP_OPT_RESULT_CODE, &err);
		return conn_broken(c, a, "the connection ended, or what came is no LDAP", err);
	}
}

/* The result of a bind or an extended operation. */
struct answer {
	int code;
	char *text;
	LDAPControl **controls;
};

static void
answer_free(struct answer *r)
{
	ldap_memfree(r->text);
	ldap_controls_free(r->controls);
}

/* Takes msgid as started: err is what libldap's call returned. To be freed in any case. */
static int32_t
answer_get(struct conn *c, const struct ask *a, const char *what, int err, int msgid,
	   struct answer *ret)
{
	LDAPMessage *msg = NULL;
	int32_t rc;

	*ret = (struct answer){0};
	if (err != LDAP_SUCCESS)
		return conn_broken(c, a, what, err);
	rc = conn_wait(c, a, msgid, &msg);
	if (rc != PM_OK)
		return rc;
	err = ldap_parse_result(c->ld, msg, &ret->code, NULL, &ret->text, NULL, &ret->controls, 1);
	if (err != LDAP_SUCCESS)
		return conn_broken(c, a, what, err);
	c->used_ms = a->inst->host->now_ms(a->inst->host->ctx);
	return PM_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Everything is set here: what ldap.conf, .ldaprc or LDAP... in the environment say must not
 * change what we do. */
static bool
conn_set_options(LDAP *ld)
{
	int version = LDAP_VERSION3, deref = LDAP_DEREF_NEVER, none = 0;
	ber_len_t most = INCOMING_MAX;
	Sockbuf *sb = NULL;

	return !ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version) &&
	       !ldap_set_option(ld, LDAP_OPT_DEREF, &deref) &&
	       !ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) &&
	       !ldap_set_option(ld, LDAP_OPT_RESTART, LDAP_OPT_OFF) &&
	       !ldap_set_option(ld, LDAP_OPT_SIZELIMIT, &none) &&
	       !ldap_set_option(ld, LDAP_OPT_TIMELIMIT, &none) &&
	       !ldap_set_option(ld, LDAP_OPT_CONNECT_ASYNC, LDAP_OPT_OFF) &&
	       !ldap_get_option(ld, LDAP_OPT_SOCKBUF, &sb) &&
	       ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_MAX_INCOMING, &most) > 0;
}

/* The extended operation of StartTLS, RFC 4511 section 4.14. */
static int32_t
start_tls(struct conn *c, const struct ask *a)
{
	struct answer r;
	int msgid = 0, err = ldap_start_tls(c->ld, NULL, NULL, &msgid);
	int32_t rc = answer_get(c, a, "StartTLS", err, msgid, &r);

	if (rc == PM_OK && r.code != LDAP_SUCCESS) {
		(void)conn_refused(c, a, "it does not do StartTLS", r.code, r.text);
		rc = PM_DOWN;
	}
	answer_free(&r);
	return rc;
}

static int32_t
conn_handshake(struct conn *c, const struct ask *a)
{
	int err;

	c->wire.waits = a;
	err = ldap_install_tls(c->ld);
	c->wire.waits = NULL;
	if (err == LDAP_SUCCESS)
		return PM_OK;
	if (a->call->cancelled(a->call)) {
		conn_close(c);
		return PM_CANCELLED;
	}
	if (ask_left(a) == 0)
		return too_late(c, a, "TLS handshake");
	return conn_broken(c, a, "TLS failed; see tls_ca, and the names in its certificate", err);
}

int32_t
conn_open(struct conn *c, const struct ask *a, const struct server *server)
{
	const struct settings *s = &a->inst->set;
	bool wants_tls = server->ldaps || (server->host && s->starttls);
	int32_t rc = PM_OK;
	int err, fd = -1;

	*c = (struct conn){.server = server};
	rc = dial(a, server, &fd);
	if (rc != PM_OK)
		return rc;
	err = ldap_init_fd(fd, server->host ? LDAP_PROTO_TCP : LDAP_PROTO_IPC, server->uri, &c->ld);
	if (err != LDAP_SUCCESS) {
		(void)close(fd);
		ask_error(a, "%s: %s", server->uri, ldap_err2string(err));
		return PM_NOMEM;
	}
	c->wire.fd = fd;
	if (!wire_install(&c->wire, c->ld) || !conn_set_options(c->ld))
		return conn_broken(c, a, "libldap refuses an option", LDAP_LOCAL_ERROR);
	if (wants_tls && !tls_apply(a->inst->tls, s, c->ld))
		return conn_broken(c, a, "tls_ca, tls_cert or tls_key cannot be used",
				   LDAP_CONNECT_ERROR);
	if (wants_tls && !server->ldaps)
		rc = start_tls(c, a);
	if (wants_tls && rc == PM_OK)
		rc = conn_handshake(c, a);
	c->used_ms = a->inst->host->now_ms(a->inst->host->ctx);
	return rc;
}

bool
conn_usable(const struct conn *c)
{
	struct pollfd p = {.fd = c->wire.fd, .events = POLLIN};

	return c->ld && poll(&p, 1, 0) == 0;
}

/* ---- binds ----------------------------------------------------------------------------------- */

/* The password policy's word (draft-behera-ldap-password-policy), or the Netscape family's. */
static enum state
state_of_controls(LDAP *ld, LDAPControl **controls, bool success)
{
	LDAPControl *ctrl = ldap_control_find(LDAP_CONTROL_PASSWORDPOLICYRESPONSE, controls, NULL);
	LDAPPasswordPolicyError error = PP_noError;
	ber_int_t expire, grace;

	if (ctrl &&
	    ldap_parse_passwordpolicy_control(ld, ctrl, &expire, &grace, &error) != LDAP_SUCCESS)
		error = PP_noError;
	if (error == PP_changeAfterReset)
		return STATE_MUST_CHANGE;
	if (error == PP_accountLocked && !success)
		return STATE_LOCKED;
	if (error == PP_passwordExpired && !success)
		return STATE_PASSWORD_EXPIRED;
	if (ldap_control_find(CONTROL_PASSWORD_EXPIRED, controls, NULL))
		return success ? STATE_MUST_CHANGE : STATE_PASSWORD_EXPIRED;
	return STATE_OK;
}

/* PM_OK and the account's state, or a failure: only what is known to be about the account is
 * held against it (R11). */
static int32_t
conn_judge(const struct conn *c, const struct ask *a, const struct answer *r, enum state *ret)
{
	enum state said = state_of_controls(c->ld, r->controls, r->code == LDAP_SUCCESS);
	const char *text = r->text ? r->text : "";

	switch (r->code) {
	case LDAP_SUCCESS:
		break;
	case LDAP_INVALID_CREDENTIALS:
		if (said == STATE_OK)
			said = state_of_ad(text);
		if (said == STATE_UNCLEAR)
			return conn_refused(c, a, "bind of a user", r->code, text);
		break;
	case LDAP_NO_SUCH_OBJECT:
	case LDAP_INVALID_DN_SYNTAX: /* the template was checked: it is the name */
		said = STATE_UNKNOWN;
		break;
	case LDAP_INAPPROPRIATE_AUTH:
		said = STATE_NO_PASSWORD;
		break;
	case LDAP_CONSTRAINT_VIOLATION:
	case LDAP_UNWILLING_TO_PERFORM:
		if (said == STATE_OK)
			said = state_of_text(text);
		if (said != STATE_OK)
			break;
		return conn_refused(c, a, "bind of a user", r->code, text);
	default:
		return conn_refused(c, a, "bind of a user", r->code, text);
	}
	*ret = said;
	return PM_OK;
}

/* Is it the name or the password that is refused? Then *ret has what is known of the account. */
static bool
service_is_refused(const struct conn *c, const struct answer *r, enum state *ret)
{
	const char *text = r->text ? r->text : "";

	*ret = state_of_controls(c->ld, r->controls, false);
	if (*ret == STATE_OK && r->code == LDAP_INVALID_CREDENTIALS)
		*ret = state_of_ad(text);
	if (*ret == STATE_OK)
		*ret = state_of_text(text);
	if (*ret == STATE_UNCLEAR)
		return false;
	return r->code == LDAP_INVALID_CREDENTIALS || r->code == LDAP_INAPPROPRIATE_AUTH ||
	       *ret != STATE_OK;
}

int32_t
conn_bind_service(struct conn *c, const struct ask *a, bool *ret_refused)
{
	const struct settings *s = &a->inst->set;
	LDAPControl policy = {.ldctl_oid = (char[]){LDAP_CONTROL_PASSWORDPOLICYREQUEST}};
	LDAPControl *controls[] = {&policy, NULL};
	struct berval password = {0, (char[]){""}};
	struct answer r;
	enum state state;
	int msgid = 0, err;
	int32_t rc;

	*ret_refused = false;
	if (s->bind_external) {
		err = ldap_sasl_bind(c->ld, NULL, "EXTERNAL", &password, NULL, NULL, &msgid);
	} else {
		password = (struct berval){strlen(s->bind_password), s->bind_password};
		err = ldap_sasl_bind(c->ld, s->bind_dn, LDAP_SASL_SIMPLE, &password, controls, NULL,
				     &msgid);
	}
	rc = answer_get(c, a, "service bind", err, msgid, &r);
	if (rc == PM_OK && r.code != LDAP_SUCCESS) {
		*ret_refused = service_is_refused(c, &r, &state);
		if (*ret_refused && state != STATE_WRONG && state != STATE_OK)
			ask_error(a, "%s: the service bind is refused: %s (%d): %s%s%s",
				  c->server->uri, ldap_err2string(r.code), r.code,
				  state_text(state), r.text && *r.text ? ": " : "",
				  r.text ? r.text : "");
		else
			(void)conn_refused(c, a,
					   s->bind_external ? "the EXTERNAL bind is refused"
							    : "the service bind is refused",
					   r.code, r.text);
		conn_close(c);
		rc = PM_DOWN; /* whatever it is: nobody can be checked with this server */
	}
	answer_free(&r);
	return rc;
}

int32_t
conn_bind_user(struct conn *c, const struct ask *a, const char *dn, struct pm_str password,
	       enum state *ret_state)
{
	LDAPControl policy = {.ldctl_oid = (char[]){LDAP_CONTROL_PASSWORDPOLICYREQUEST}};
	LDAPControl *controls[] = {&policy, NULL};
	/* libldap only reads it */
	struct berval secret = {password.n, (char *)(uintptr_t)password.p};
	struct answer r;
	int msgid = 0, err;
	int32_t rc;

	/* RFC 4513 section 5.1.2: that would be no authentication at all */
	if (password.n == 0 || !*dn) {
		*ret_state = STATE_WRONG;
		return PM_OK;
	}
	err = ldap_sasl_bind(c->ld, dn, LDAP_SASL_SIMPLE, &secret, controls, NULL, &msgid);
	rc = answer_get(c, a, "bind of a user", err, msgid, &r);
	if (rc == PM_OK)
		rc = conn_judge(c, a, &r, ret_state);
	answer_free(&r);
	return rc;
}
