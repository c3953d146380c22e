"""The web as tools see it: public addresses only, small answers, nothing of ours sent along."""
