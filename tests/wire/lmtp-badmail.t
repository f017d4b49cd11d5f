# users: ann@example.org=restante
# domain: example.org
# delivery: unknown_recipient=badmail max_errors=100
# badmail: -
# mail to unknown users is kept if the site wants it, in our own domains only
!port lmtp
S~ 220 .*
C: LHLO me
S- *
C: MAIL FROM:<a@x.org>
S~ 250 2.1.0.*
C: RCPT TO:<nobody@example.org>
S: 250 2.1.5 <nobody@example.org> recipient ok
C: RCPT TO:<ann@example.org>
S: 250 2.1.5 <ann@example.org> recipient ok
C: RCPT TO:<nobody@elsewhere.example>
S~ 550 5.1.2 .*
C: DATA\r\nSubject: x\r\n\r\n.
S~ 354.*
S~ 250 2\.0\.0 <nobody@example\.org> delivered.*
S~ 250 2\.0\.0 <ann@example\.org> delivered.*
M: ann 1
B: refused 1
B: retry 0
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<nobody@example.org>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C* 10000 0123456789\r\n
C: .
S~ 250 2\.0\.0 <nobody@example\.org> delivered.*
B: refused 2
C: QUIT
S~ 221 .*
!end
