"""Side-by-side runs against peers: each prints ratios and writes ``results/``; nothing else imports them."""
