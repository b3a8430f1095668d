"""What the service's benchmark is made of: who asks what and when, how it is sent, what is read off."""
