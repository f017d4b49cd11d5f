# users: ann=restante ben=restante
# delivery: max_errors=3 max_recipients=2 max_sessions=2 idle_timeout=1
# sessions, recipients, errors, silence
!port lmtp
S~ 220 .*
C: LHLO me
S- *
C: MAIL FROM:<a@x.org>
S~ 250 2.1.0.*
C: RCPT TO:<ann>
S~ 250 2.1.5.*
C: RCPT TO:<nobody>
S~ 550 5.1.1 .*
C: RCPT TO:<ben>
S~ 250 2.1.5.*
C: RCPT TO:<ann>
S: 452 4.5.3 this message has as many recipients as it may have
!use 2
S~ 220 .*
!use 3
S: 421 4.3.2 too many connections, try again later
!end
!use 2
C: FOO\r\nFOO\r\nFOO
S: 500 5.5.2 unknown command
S: 500 5.5.2 unknown command
S: 500 5.5.2 unknown command
S: 421 4.7.0 too many errors, closing
!end
!use 1
S: 421 4.4.2 nothing came for too long, closing
!end
M: ann 0
