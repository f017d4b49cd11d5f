# users: ann@example.org=restante
# domain: example.org
# alias: all@example.org=ann@example.org
# delivery: postmaster=ann@example.org max_errors=100
# fault auth: lookup 1 error UNSUPPORTED
# fault auth: lookup 2 error DENIED
# fault auth: lookup 4 error UNSUPPORTED
# fault auth: lookup 6 error UNSUPPORTED
# fault auth: lookup 7 error UNSUPPORTED
# fault auth: lookup 9 error UNSUPPORTED
# fault auth: lookup 11 error UNSUPPORTED
# a section that cannot look names up may have the user all the same: nobody can tell, and that is no 550
!port lmtp
S~ 220 .*
C: LHLO me
S- *
C: MAIL FROM:<a@x.org>
S~ 250 2.1.0.*
C: RCPT TO:<ann@example.org>
S: 451 4.3.5 <ann@example.org> whether there is such a mailbox cannot be told; the postmaster can see why
C: RCPT TO:<ann@example.org>
S: 550 5.1.1 <ann@example.org> there is no such mailbox here
C: RCPT TO:<all@example.org>
S: 451 4.3.5 <all@example.org> whether there is such a mailbox cannot be told; the postmaster can see why
C: RCPT TO:<nobody@elsewhere.example>
S: 550 5.1.2 <nobody@elsewhere.example> mail for this domain is not taken here
C: RCPT TO:<nobody@elsewhere.example>
S: 550 5.1.2 <nobody@elsewhere.example> mail for this domain is not taken here
C: RCPT TO:<nobody+tag@example.org>
S: 451 4.3.5 <nobody+tag@example.org> whether there is such a mailbox cannot be told; the postmaster can see why
C: RCPT TO:<ann+tag@example.org>
S: 250 2.1.5 <ann+tag@example.org> recipient ok
C: RCPT TO:<postmaster@example.org>
S: 250 2.1.5 <postmaster@example.org> recipient ok
C: RCPT TO:<nobody@example.org>
S: 550 5.1.1 <nobody@example.org> there is no such mailbox here
C: DATA
S: 354 go on; end with CRLF.CRLF
C: Subject: x\r\n\r\n.
S~ 250 2\.0\.0 <ann\+tag@example.org> delivered, id .*
S~ 250 2\.0\.0 <postmaster@example.org> delivered, id .*
C: QUIT
S~ 221 .*
!end
M: ann 1
