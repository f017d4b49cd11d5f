# users: ann@example.org=restante
# domain: example.org
# delivery: postmaster=ann@example.org max_errors=100
# fault auth: lookup 1 error MOVED
# fault auth: lookup 2 error EXISTS
# fault auth: lookup 3 error PARTIAL
# fault auth: lookup 4 error UNKNOWN
# fault auth: lookup 5 error BUSY
# fault auth: lookup 6 error QUOTA
# fault auth: lookup 7 error GONE
# an answer that lookup() does not have is no account, no alias, and no "there is no such mailbox"
!port lmtp
S~ 220 .*
C: LHLO me
S- *
C: MAIL FROM:<a@x.org>
S~ 250 2.1.0.*
C: RCPT TO:<ann@example.org>
S: 451 4.4.3 <ann@example.org> accounts cannot be looked up now, try again later
C: RCPT TO:<ann@example.org>
S: 451 4.4.3 <ann@example.org> accounts cannot be looked up now, try again later
C: RCPT TO:<ann@example.org>
S: 451 4.4.3 <ann@example.org> accounts cannot be looked up now, try again later
C: RCPT TO:<ann@example.org>
S: 451 4.4.3 <ann@example.org> accounts cannot be looked up now, try again later
C: RCPT TO:<ann@example.org>
S: 451 4.4.3 <ann@example.org> accounts cannot be looked up now, try again later
C: RCPT TO:<ann@example.org>
S: 451 4.4.3 <ann@example.org> accounts cannot be looked up now, try again later
C: RCPT TO:<ann@example.org>
S: 451 4.4.3 <ann@example.org> accounts cannot be looked up now, try again later
C: RCPT TO:<ann@example.org>
S: 250 2.1.5 <ann@example.org> recipient ok
C: DATA
S: 354 go on; end with CRLF.CRLF
C: Subject: x\r\n\r\n.
S~ 250 2\.0\.0 <ann@example.org> delivered, id .*
C: QUIT
S~ 221 .*
!end
M: ann 1
